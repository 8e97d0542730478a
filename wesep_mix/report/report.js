// Sorting by a column's button, the theme, and one sound at a time. Without this script the page reads all the same.
const number = (text) => {
  const found = text.trim().match(/^[+-]?\d+(\.\d+)?/);
  return found ? Number(found[0]) : null;
};

const text = (row, column) => {
  const cell = row.cells[column].cloneNode(true);
  cell.querySelectorAll(".anchor").forEach((link) => link.remove());
  return cell.textContent.trim();
};

// Numbers by size, words by letters, both up or down; what has no number, such as "-", is always last.
function sort(table, column, direction) {
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, text: text(row, column) }));
  const numeric = column > 0 && rows.some((one) => number(one.text) !== null);
  const sign = direction === "ascending" ? 1 : -1;
  rows.sort((one, other) => {
    if (!numeric) return sign * one.text.localeCompare(other.text, "en", { numeric: true });
    const [a, b] = [number(one.text), number(other.text)];
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (a - b);
  });
  table.tBodies[0].append(...rows.map((one) => one.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const [first, second] = column ? ["descending", "ascending"] : ["ascending", "descending"];
      const direction = head.getAttribute("aria-sort") === first ? second : first;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      sort(table, column, direction);
    });
  });
}

const button = document.getElementById("theme");
const themes = ["system", "light", "dark"];
let theme = "system";
function show() {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  button.textContent = `Theme: ${theme}`;
}
try {
  const kept = localStorage.getItem("wesep_mix theme");
  if (themes.includes(kept)) theme = kept;
} catch {} // a browser may refuse to keep anything
show();
button.addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  show();
  try { localStorage.setItem("wesep_mix theme", theme); } catch {}
});

document.addEventListener("play", (event) => {
  for (const sound of document.querySelectorAll("audio")) if (sound !== event.target) sound.pause();
}, true); // media events do not bubble

const contents = document.querySelector("nav details");
if (matchMedia("(max-width: 68rem)").matches) contents.open = false;
