"""English sentences of our own: a small grammar over some hundred words, for synthetic voices to read."""

from __future__ import annotations

import re

import numpy as np

_WORDS = {
    "person": (
        "sailor teacher baker farmer doctor painter neighbour musician carpenter gardener postman "
        "librarian judge engineer fisherman grandmother waiter student writer mechanic shepherd "
        "captain nurse lawyer tailor butcher driver pilot singer dancer chemist miner soldier clerk "
        "cook uncle cousin stranger landlord poet"
    ),
    "name": (
        "Anna Thomas Emily Peter Martha George Helen Victor Julia Robert Clara Henry Sophie Walter "
        "Grace Edward Nora Philip Rose Oscar Laura Simon Alice Hugo Margaret Daniel Irene Frank Lucy "
        "Benjamin"
    ),
    "animal": (
        "fox horse dog goat hen owl otter rabbit sparrow donkey badger cat crow turtle squirrel pony "
        "lamb goose beetle heron mule salmon wolf swan moth"
    ),
    "thing": (
        "lantern violin suitcase map letter kettle ladder basket clock bicycle blanket mirror hammer "
        "notebook umbrella telescope painting wheelbarrow candle key teapot compass drum guitar "
        "photograph bottle chair cushion spoon rope jacket coat boot ring coin parcel radio camera "
        "pencil saddle anchor bucket broom curtain ticket newspaper cupboard barrel flag whistle scarf"
    ),
    "place": (
        "harbour market forest library station village kitchen valley bridge garden castle museum "
        "river school bakery orchard meadow lighthouse workshop attic cellar courtyard island desert "
        "mountain theatre hospital barn mill chapel square office tower quarry beach canal vineyard "
        "stable pasture ferry"
    ),
    "food": (
        "bread soup cheese honey pepper butter chocolate coffee porridge cabbage apples cherries "
        "onions mushrooms plums walnuts potatoes pancakes ginger milk rice beans barley lemons carrots"
    ),
    "material": ("wood glass silver wool copper leather paper stone cotton iron brass clay silk marble canvas tin"),
    "quality": (
        "old quiet narrow heavy bright broken curious gentle clever tired hungry wooden yellow green "
        "purple famous lazy nervous patient stubborn enormous tiny dusty empty crooked polite brave "
        "cheerful lonely shiny rusty foreign familiar faded rough smooth hollow clumsy honest "
        "thoughtful noisy peculiar handsome ordinary weary slender muddy golden silent fragile"
    ),
    "how": (
        "slowly quickly quietly carefully suddenly happily politely nervously proudly gently eagerly "
        "rarely usually certainly foolishly cheerfully secretly loudly patiently bravely gladly hardly "
        "never always finally boldly firmly kindly seriously"
    ),
    "when": (
        "yesterday;this morning;last winter;after breakfast;before sunrise;every Tuesday;"
        "in early spring;late at night;on the third of August;during the storm;once a week;"
        "ten years ago;at half past four;in the middle of the afternoon;just before dinner;"
        "for the first time;all summer long;without any warning;on a cold evening;"
        "when the rain had stopped;long before the war;at the end of the week"
    ),
    "did": (
        "carried found borrowed painted repaired watched followed remembered described bought sold "
        "dropped measured collected noticed washed polished hid examined lifted moved lost forgot "
        "chose shared admired wrapped guarded opened pushed cleaned counted delivered drew stole kept "
        "returned studied touched offered ordered protected covered mended mentioned recognised "
        "photographed"
    ),
    "do": (
        "carry find borrow paint repair watch follow remember describe buy sell drop measure collect "
        "notice wash polish hide examine lift move lose forget choose share admire wrap guard open "
        "push clean count deliver draw steal keep return study touch offer order protect cover mend "
        "mention recognise photograph"
    ),
    "went": (
        "walked ran travelled hurried wandered climbed drove sailed marched crept jumped strolled "
        "returned rushed cycled swam stumbled galloped drifted raced"
    ),
    "felt": ("seemed looked felt became sounded remained grew appeared"),
    "toward": ("towards;across;past;through;around;behind;beyond;near;into;beside;over;under"),
    "weather": ("rain snow wind fog thunder sunshine frost hail moonlight darkness heat silence"),
    "number": ("two three four five six seven eight nine eleven twelve fifteen twenty thirty forty ninety"),
    "plural": (
        "boxes windows children journeys stories ships stones visitors questions flowers birds "
        "neighbours bridges songs mistakes buttons feathers pictures maps kittens villages promises "
        "chairs wolves roads"
    ),
    "idea": (
        "patience courage music weather history friendship silence curiosity geography mathematics "
        "luck trouble kindness fashion gossip freedom memory science wisdom adventure"
    ),
    "said": ("said;thought;believed;explained;whispered;claimed;shouted;knew;hoped;admitted;insisted;heard"),
    "link": ("because;although;while;until;since;before;after;whenever;unless;as soon as;even though"),
}

_RULES = {
    "sentence": (
        "{clause}.",
        "{clause}, and {clause}.",
        "{clause} {link} {clause}.",
        "{When}, {clause}.",
        "{When}, {clause}, but {clause}.",
        "{Subject} {said} that {clause}.",
        "Why did {subject} {do} {object} {when}?",
        "Did {subject} really {do} {object} near the {place}?",
        "Please {do} {object} and {do} {object}.",
        "There were {number} {plural} in the {place}, and {clause}.",
        "{number} {quality} {plural} waited {toward} the {place}.",
        "{idea} and {idea} are worth more than {number} {plural}.",
        "If {subject} {did} {object}, {subject} would surely {do} {object}.",
        "The {thing} of {material} belongs to {subject}, who lives {toward} the {place}.",
        "We need {food}, {food} and {number} {plural} from the {place}.",
        "Nobody in the {place} could {do} {object} as {how} as {subject}.",
        "The {weather} came {when}, so {clause}.",
        "I would rather {do} {object} than {do} {object}.",
        "It was {quality} and {quality} in the {place} {when}.",
        "What {subject} {did} {when} was not {object}, it was {object}.",
    ),
    "short": (
        "{clause}.",
        "{Subject} {did} {object}.",
        "Did {subject} {do} {object}?",
        "{subject} {went} away.",
    ),
    "clause": (
        "{subject} {did} {object}",
        "{subject} {how} {did} {object}",
        "{subject} {did} {object} {when}",
        "{subject} {went} {toward} the {place}",
        "{subject} {went} {how} {toward} the {quality} {place}",
        "{subject} {felt} {quality}",
        "the {weather} {felt} {quality} {toward} the {place}",
        "nobody {did} {object}",
        "{subject} asked {subject} about {idea}",
        "{object} {felt} {quality} and {quality}",
        "{subject} gave {subject} {number} {plural}",
        "{subject} wanted to {do} {object}",
    ),
    "subject": (
        "{name}",
        "the {person}",
        "the {quality} {person}",
        "a {quality} {animal}",
        "my {person}",
        "the {animal}",
        "{name} and {name}",
        "her {quality} {person}",
        "our {person}",
        "the {person} from the {place}",
    ),
    "object": (
        "the {thing}",
        "a {quality} {thing}",
        "the {quality} {thing}",
        "some {food}",
        "the {person}'s {thing}",
        "{number} {plural}",
        "their {quality} {plural}",
        "a {material} {thing}",
        "the {animal} in the {place}",
        "every {thing}",
        "the {food} and the {food}",
    ),
}


def _choices(text: str) -> tuple[str, ...]:
    return tuple(text.split(";" if ";" in text else None))


_GRAMMAR = _RULES | {slot: _choices(words) for slot, words in _WORDS.items()}


def draw_sentence(rng: np.random.Generator, slot: str = "sentence") -> str:
    """Draw one sentence, about 1 to 7 s when spoken.

    Args:
        rng: draws it.
        slot: the part of the grammar to begin with; "short" gives the short sentences only.

    Returns:
        Its text.
    """
    text = _expand(slot, rng)
    return re.sub(r"\ba (?=[aeiou])", "an ", text[0].upper() + text[1:])


def _expand(slot: str, rng: np.random.Generator) -> str:
    options = _GRAMMAR[slot.lower()]
    text = options[int(rng.integers(len(options)))]
    text = re.sub(r"\{(\w+)\}", lambda match: _expand(match[1], rng), text)
    return text[0].upper() + text[1:] if slot[0].isupper() else text
