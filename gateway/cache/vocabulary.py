"""The words that decide whether two questions ask the same (pure data)."""


def _of(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATIONS = _of("""
    not no never none nobody nothing nowhere neither nor without except unless cannot hardly barely rarely
    seldom lack lacks lacking excluding exclude excludes other-than instead nicht kein keine keinen keiner
    keines nie niemals ohne weder ne pas jamais sans aucun aucune rien ni nunca jamas sin ningun ninguna tampoco
    nem nao sem mai senza nessuno nessuna niet geen nooit zonder
""")

# Words that must not be taken for each other, neighbours of their opposites.
OPPOSITES = _of("""
    increase increases increased increasing decrease decreases decreased decreasing raise raised lower lowered
    reduce reduced reducing rise rising fall falling grow growing shrink shrinking gain gains loss losses profit
    profits maximum minimum max min maximize minimize maximise minimise most least more less fewer greater
    smaller larger bigger highest lowest higher high low biggest smallest largest longest shortest fastest
    slowest oldest newest youngest latest earliest best worst better good bad cheapest cheap expensive before
    after since until during earlier later first last next previous past future yesterday today tomorrow start
    starts started begin begins end ends ended finish stop stops stopped open opens opened close closes closed
    enable enabled enables disable disabled disables activate deactivate allow allowed deny denied permit forbid
    forbidden accept accepted reject rejected approve approved include included including includes off out up
    down left right north south east west above below over under inside outside front back top bottom buy buys
    buying sell sells selling bought sold import imports importing export exports exporting borrow lend give
    take send receive sent received push pull upload download install uninstall add remove removed insert delete
    deleted create created destroy encrypt decrypt encode decode compress decompress lock unlock login logout
    connect disconnect attach detach mount unmount save load read write input output source target client server
    sender receiver true false yes valid invalid legal illegal safe unsafe dangerous possible impossible public
    private internal external hot cold warm cool wet dry hard soft fast slow quick old new young long short wide
    narrow thick thin deep shallow full empty heavy light dark bright strong weak rich poor early late easy
    difficult simple complex love hate dislike win wins lose loses won lost pass fail passed failed success
    failure succeed agree disagree male female man woman men women boy girl father mother son daughter husband
    wife king queen brother sister positive negative plus minus subtract multiply divide sum difference product
    quotient ascending descending forward backward forwards backwards clockwise counterclockwise horizontal
    vertical same different similar opposite always sometimes often all some any every each only both either
    hire fire employ employee employer teacher student doctor patient lawyer buyer seller landlord tenant parent
    child hypertension hypotension hyperglycemia hypoglycemia acid base acute chronic benign malignant prenatal
    postnatal sync async synchronous asynchronous static dynamic mutable immutable serial parallel row rows
    column columns debit credit deposit withdraw withdrawal asset assets liability liabilities revenue expense
    gross net should must may might will was were
""")

ASKING = _of("""
    who whom whose when where why which
""")

UNITS = _of("""
    kg kilogram kilograms g gram grams mg mcg lb lbs pound pounds oz ounce ounces ton tons tonne tonnes km
    kilometer kilometers kilometre kilometres m meter meters metre metres cm mm mile miles yard yards foot feet
    ft inch inches l liter liters litre litres ml gallon gallons pint pints cup cups tablespoon teaspoon celsius
    fahrenheit kelvin c f k usd eur gbp jpy chf cny inr dollar dollars euro euros yen franc francs second
    seconds minute minutes hour hours day days week weeks month months year years quarter quarters decade
    century kb mb gb tb kib mib gib byte bytes bit bits percent percentage hz khz mhz ghz watt watts kw kwh volt
    volts am pm utc monday tuesday wednesday thursday friday saturday sunday january february march april june
    july august september october november december
""")

# Say nothing about what is asked.
FILLERS = _of("""
    a an the please kindly just do does
""")

NUMBERS = {
    "zero": "0", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14",
    "fifteen": "15", "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19", "twenty": "20",
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000", "half": "0.5",
    "twice": "2x", "double": "2x", "triple": "3x", "single": "1x", "once": "1x", "second": "2nd", "third": "3rd",
    "fourth": "4th", "fifth": "5th", "dozen": "12",
}  # fmt: skip

SAME = {
    "colour": "color", "colours": "colors", "favourite": "favorite", "behaviour": "behavior", "honour": "honor",
    "labour": "labor", "neighbour": "neighbor", "centre": "center", "theatre": "theater", "litre": "liter",
    "litres": "liters", "metre": "meter", "metres": "meters", "kilometre": "kilometer", "kilometres": "kilometers",
    "catalogue": "catalog", "dialogue": "dialog", "cheque": "check", "grey": "gray", "tyre": "tire",
    "travelling": "traveling", "cancelled": "canceled", "modelling": "modeling", "licence": "license",
    "programme": "program", "e-mail": "email", "e-mails": "emails", "ok": "okay", "thru": "through",
}  # fmt: skip

# Small words that tell a language.
LANGUAGES = {
    "en": _of(
        "the is are what how of and to in for does with which when who where why can my your"
    ),
    "de": _of(
        "der die das ist sind was wie und für mit welche wann wer wo warum kann mein ein eine von zu den dem"
    ),
    "fr": _of(
        "le la les est sont quel quelle comment et pour avec quand qui où pourquoi mon une des du de que"
    ),
    "es": _of(
        "el los las es son qué cuál cómo y para con cuándo quién dónde por mi una del de que cuáles"
    ),
    "it": _of(
        "il lo gli è sono che quale come e per con quando chi dove perché mio una della di qual"
    ),
    "pt": _of("o os as é são qual como e para com quando quem onde por meu uma da que quais"),
    "nl": _of("de het is zijn wat hoe en voor met welke wanneer wie waar waarom mijn een van"),
    "sv": _of("är och vad hur för med vilken när vem var varför min en ett av det"),
    "da": _of("er og hvad hvordan for med hvilken når hvem hvor hvorfor min en et af det jeg du"),
    "no": _of("er og hva hvordan for med hvilken når hvem hvor hvorfor min en et av det jeg"),
    "pl": _of("jest są co jak dla kiedy kto gdzie dlaczego mój się nie czy moje"),
    "tr": _of("ve ne nasıl için ile ne kim nerede neden bir bu"),
}
