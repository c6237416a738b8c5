"""Sentences of a made-up shop's customer support, shared by the simulator and the demo history.

Everything is chosen by a `random.Random` the caller passes, so the same seed gives the same words.
"""

import random
from dataclasses import dataclass

PRODUCTS = (
    "Aurora desk lamp", "Trailhead backpack", "Kettle One", "Nimbus headphones", "Fjord rain jacket",
    "Pebble smart scale", "Copper moka pot", "Drift standing desk", "Lumen reading light",
    "Harbor wool blanket", "Tempo running watch", "Basalt knife set", "Willow office chair",
    "Mesa bluetooth speaker", "Orchard juicer", "Cobalt travel mug", "Summit tent for two",
)  # fmt: skip
FIRST_NAMES = (
    "Amelia", "Noah", "Priya", "Mateo", "Ingrid", "Kofi", "Lucía", "Tomasz", "Aiko", "Yusuf", "Chloé",
    "Daniel", "Fatima", "Oskar", "Grace", "Leon", "Mina", "Rafael", "Sofia", "Viktor", "Wei", "Zara",
)  # fmt: skip
CITIES = ("Lisbon", "Leeds", "Graz", "Lyon", "Turku", "Austin", "Porto", "Ghent", "Osaka", "Cork")
CARRIERS = ("Northpost", "ParcelLine", "Velo Express", "BlueVan")


@dataclass(frozen=True)
class Topic:
    """One reason people write in: how they ask, what there is to say, and where it is written."""

    name: str
    words: tuple[str, ...]
    questions: tuple[str, ...]
    facts: tuple[str, ...]
    documents: tuple[str, ...]


TOPICS = (
    Topic(
        "refund",
        ("refund", "money", "return", "back"),
        (
            "I sent the {product} back on {day} and the refund for order {order} still has not arrived.",
            "Can I get my money back for the {product}? It is not what I expected from the photos.",
            "Order {order} was returned two weeks ago. When will I see the refund of {amount}?",
        ),
        (
            "I can see that your return for order {order} reached our warehouse on {day}.",
            "Refunds go back to the card you paid with and take three to five working days to show.",
            "I have started the refund of {amount} for the {product} now, so you need not do anything else.",
            "Since the parcel was opened within thirty days, the full price including delivery is covered.",
            "Your bank may list it under the name of our payment partner rather than our shop.",
        ),
        ("Refund times by payment method", "Returns within thirty days", "Partial refunds and gift cards"),
    ),
    Topic(
        "delivery",
        ("delivery", "parcel", "shipping", "arrive", "tracking", "late"),
        (
            "My parcel with the {product} was meant to arrive on {day}. {carrier} shows no movement since.",
            "Where is order {order}? The tracking page has said \"in transit\" for six days.",
            "Could you deliver order {order} to my neighbour in {city} instead? I am away until {day}.",
        ),
        (
            "Order {order} left our warehouse and is with {carrier}, who scanned it last in {city}.",
            "The depot there is running two days behind after the storm, which explains the silence.",
            "I have asked {carrier} for a trace; they answer within one working day.",
            "If it has not moved by {day}, we will send a second {product} at no charge.",
            "You will get a text message on the morning of delivery with a two-hour window.",
        ),
        ("When a parcel stops moving", "Delivery windows by carrier", "Changing a delivery address"),
    ),
    Topic(
        "login",
        ("login", "password", "account", "sign", "locked", "code"),
        (
            "I cannot log in. The reset mail never comes and after three tries my account is locked.",
            "The sign-in code arrives ten minutes late and is then expired. What can I do?",
            "I changed phones and lost my authenticator. How do I get back into my account?",
        ),
        (
            "Your account is locked for fifteen minutes after three wrong passwords; that time has passed now.",
            "The reset mail was sent but your mail provider put it off. Please look in the spam folder.",
            "I have sent a new link that works for one hour and only once.",
            "For a lost authenticator you can use one of the ten recovery codes from the day you set it up.",
            "Once you are in, please check the list of devices and remove those you do not know.",
        ),
        ("Locked accounts", "Recovery codes", "Why sign-in mails arrive late"),
    ),
    Topic(
        "invoice",
        ("invoice", "vat", "billing", "receipt", "tax"),
        (
            "I need an invoice for order {order} with our company address in {city} and the VAT number.",
            "The receipt shows {amount} but my card was charged a different sum. Why?",
            "Can all invoices of the last quarter be sent to our accountant at once?",
        ),
        (
            "I have issued a corrected invoice for order {order}; the old one is marked as replaced.",
            "The difference comes from the currency: your bank converts at its own rate on the day of booking.",
            "With the VAT number on file, future invoices carry it without you asking.",
            "Every invoice can be downloaded under Orders, one by one or as a single archive per month.",
            "The sum of {amount} includes delivery, which has its own line on the second page.",
        ),
        ("Company invoices and VAT", "Currency conversion on receipts", "Exporting invoices"),
    ),
    Topic(
        "subscription",
        ("subscription", "plan", "cancel", "renew", "upgrade", "membership"),
        (
            "Please cancel my membership before it renews on {day}.",
            "What changes if I move from the monthly to the yearly plan in the middle of the month?",
            "I was charged {amount} for a renewal that I thought was cancelled.",
        ),
        (
            "Your membership is set to end on {day}; until then everything keeps working.",
            "Moving to the yearly plan starts at once, and the unused days of this month are credited.",
            "I found the cancellation you made: it was saved one day after the renewal had been booked.",
            "As a courtesy I have returned the {amount} and closed the plan from today.",
            "You can come back at any time, and your order history and lists stay as they are.",
        ),
        ("Changing plans in mid-month", "Cancelling a membership", "Renewal dates"),
    ),
    Topic(
        "damage",
        ("damage", "damaged", "broken", "defect", "scratch", "warranty", "repair"),
        (
            "The {product} came with a crack on one side. The box itself looked fine.",
            "After four months the {product} stopped working. Is that covered by the warranty?",
            "One part of my {product} is missing, so I cannot put it together.",
        ),
        (
            "I am sorry about the state the {product} arrived in; thank you for the photos.",
            "This is covered: the warranty runs for two years from the day of delivery.",
            "A replacement leaves tomorrow with {carrier}, and you can hand the old one to the same driver.",
            "The missing part is in stock and costs you nothing; it fits in a letter box.",
            "If a repair is possible near {city}, it is usually quicker than sending it to us.",
        ),
        ("Two-year warranty", "Damaged on arrival", "Spare parts we keep"),
    ),
    Topic(
        "order",
        ("order", "change", "address", "stock", "discount", "size", "gift"),
        (
            "Can I still add a second {product} to order {order}?",
            "The discount code from your newsletter is refused for the {product}.",
            "When will the {product} be back in stock in {city}?",
        ),
        (
            "Order {order} has not been packed yet, so I could add it and keep the delivery at one parcel.",
            "The code is valid from {amount} upwards and not for items that are already reduced.",
            "We expect the next batch of the {product} on {day}; I have put you on the list.",
            "You pay the difference with the same card, and the new sum is on the confirmation.",
            "If you prefer a shop, the one in {city} keeps items aside for forty-eight hours.",
        ),
        ("Changing an order", "Discount codes", "Stock and pre-orders"),
    ),
)  # fmt: skip

OPENERS = (
    "Hello {name}, thank you for writing.", "Hi {name}, I have looked into this for you.",
    "Good to hear from you, {name}.", "Thanks for the details, {name}.",
    "Dear {name}, I understand this is annoying.", "Hello {name}, let me help with that.",
)  # fmt: skip
CLOSERS = (
    "Is there anything else I can do for you?", "I will keep this conversation open until it is settled.",
    "Please reply here if anything looks different on your side.", "Thank you for your patience.",
    "You will also find this summary in your account.", "Have a good day.",
)  # fmt: skip
DAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "3 November",
    "12 October",
)

SYSTEM_PROMPT = (
    "You are the support assistant of Fernhill, a shop for home and outdoor goods. Answer in the customer's "
    "language, in plain words, in at most six sentences. Look up the order before you promise anything. Never "
    "invent a tracking number, a date or an amount: say what you do not know and what you will do to find out. "
    "Refunds above 150 USD need a colleague's approval. Do not ask for card numbers or passwords. When the "
    "customer is upset, say once that you understand, then solve the problem."
)


@dataclass(frozen=True)
class Case:
    """One customer's matter, with its particulars filled in."""

    topic: Topic
    particulars: dict[str, str]

    def fill(self, sentence: str) -> str:
        """The sentence with this case's names, numbers and dates."""
        return sentence.format(**self.particulars)


def topic_of(text: str) -> Topic | None:
    """The topic whose words occur most in a text, or None."""
    low = text.lower()
    scores = [(sum(low.count(word) for word in topic.words), topic) for topic in TOPICS]
    best = max(scores, key=lambda item: item[0])
    return best[1] if best[0] else None


def new_case(chance: random.Random, topic: Topic | None = None) -> Case:
    """A case with believable particulars."""
    return Case(
        topic or chance.choice(TOPICS),
        {
            "product": chance.choice(PRODUCTS),
            "order": f"F-{chance.randrange(200_000, 990_000)}",
            "amount": f"{chance.randrange(12, 240)}.{chance.choice(('00', '50', '90', '95'))} USD",
            "name": chance.choice(FIRST_NAMES),
            "city": chance.choice(CITIES),
            "carrier": chance.choice(CARRIERS),
            "day": chance.choice(DAYS),
        },
    )


def question(chance: random.Random, case: Case) -> str:
    """What the customer writes."""
    text = case.fill(chance.choice(case.topic.questions))
    if chance.random() < 0.4:
        text += " " + chance.choice(
            (
                "I have been a customer for years and this has never happened before.",
                "Please answer by mail, I cannot take calls during the day.",
                "It is a birthday present, so it is rather urgent.",
                "I already wrote about this last week and got no answer.",
            )
        )
    return text


def answer(chance: random.Random, case: Case, sentences: int | None = None) -> str:
    """What the assistant writes back: an opener, some facts, a closer."""
    count = sentences or chance.randrange(2, 5)
    facts = [chance.sample(case.topic.facts, len(case.topic.facts)) for _ in range(1 + count // 5)]
    chosen = [fact for group in facts for fact in group][:count]
    return " ".join(
        case.fill(text) for text in (chance.choice(OPENERS), *chosen, chance.choice(CLOSERS))
    )


def document(chance: random.Random, case: Case) -> dict[str, str]:
    """A help article that a search for this case would find."""
    title = chance.choice(case.topic.documents)
    body = " ".join(case.fill(text) for text in chance.sample(case.topic.facts, 3))
    return {"id": f"kb-{case.topic.name}-{len(title)}", "title": title, "text": body}
