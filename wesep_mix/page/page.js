// The player: what is chosen plays on where the other one was; a line in the pictures shows where that is.
const sounds = () => [...element.querySelectorAll("audio")];
const now = () => sounds().find((sound) => !sound.hidden);

element.addEventListener("change", (event) => {
  if (event.target.name !== "hear") return;
  const old = now(), next = sounds()[Number(event.target.value)];
  if (old === next) return;
  const playing = !old.paused;
  old.pause();
  next.currentTime = old.currentTime;
  next.volume = old.volume;
  next.muted = old.muted;
  next.playbackRate = old.playbackRate;
  old.hidden = true;
  next.hidden = false;
  if (playing) next.play();
});

for (const kind of ["timeupdate", "seeked"])
  element.addEventListener(kind, (event) => {
    if (event.target === now()) element.style.setProperty("--at", event.target.currentTime / event.target.duration);
  }, true); // media events do not bubble

element.addEventListener("click", (event) => {
  const over = event.target.closest(".over");
  if (!over) return;
  const box = over.getBoundingClientRect();
  now().currentTime = ((event.clientX - box.left) / box.width) * now().duration;
});
