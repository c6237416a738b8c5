"""Pairs of questions for benchmarks/gateway_cache.py, written for it: `kind | one | other`.

ADVERSARIAL look alike and must not share an answer. DUPLICATES say the same in nearly the same words. PARAPHRASES say
the same in other words: only an embeddings endpoint can know.
"""

ADVERSARIAL = """
negation | Is aspirin safe for children? | Is aspirin not safe for children?
negation | Which foods can a diabetic eat? | Which foods can a diabetic not eat?
negation | Can I return shoes I have worn? | Can't I return shoes I have worn?
negation | List countries that are in the EU | List countries that are not in the EU
negation | Write a poem with rhymes about rain | Write a poem without rhymes about rain
negation | Show all orders except cancelled ones | Show all orders including cancelled ones
negation | Does the warranty cover water damage? | Does the warranty never cover water damage?
negation | Who has signed the contract? | Who has not signed the contract?
negation | Explain recursion using code | Explain recursion without using code
negation | Should I restart the server after the update? | Should I not restart the server after the update?
negation | Give me reasons to invest in bonds | Give me reasons not to invest in bonds
negation | Is the meeting cancelled? | Isn't the meeting cancelled?
negation | Which of these mushrooms are edible? | Which of these mushrooms are inedible?
negation | Is this licence valid abroad? | Is this licence invalid abroad?
negation | What happens if I pay on time? | What happens if I do not pay on time?
negation | Translate the sentence: I like it | Translate the sentence: I do not like it
negation | Kann ich den Vertrag kündigen? | Kann ich den Vertrag nicht kündigen?
negation | Ist das Produkt mit Nüssen? | Ist das Produkt ohne Nüsse?
negation | Peut-on annuler la commande ? | Ne peut-on pas annuler la commande ?
negation | ¿Puedo viajar con mi perro? | ¿No puedo viajar con mi perro?
negation | Posso pagare con la carta? | Non posso pagare con la carta?
negation | Everyone passed the exam, right? | No one passed the exam, right?
negation | Is there a fee for transfers? | Is there no fee for transfers?
negation | Do vaccines cause autism? | Do vaccines not cause autism?
negation | Why did the build succeed? | Why did the build fail?
number | What is the dose for a patient of 10 kg? | What is the dose for a patient of 20 kg?
number | Convert 100 USD to EUR | Convert 1000 USD to EUR
number | What is 15% of 200? | What is 15% of 300?
number | What is 12 times 12? | What is 12 times 13?
number | Give me 3 ideas for a birthday party | Give me 5 ideas for a birthday party
number | Give me three ideas for a birthday party | Give me four ideas for a birthday party
number | Who won the World Cup in 2014? | Who won the World Cup in 2018?
number | Summarise chapter 2 of the book | Summarise chapter 3 of the book
number | How do I upgrade from Python 3.10 to 3.11? | How do I upgrade from Python 3.11 to 3.10?
number | Is 17 a prime number? | Is 18 a prime number?
number | What does HTTP status 401 mean? | What does HTTP status 403 mean?
number | Round 2.345 to two decimals | Round 2.354 to two decimals
number | What is the square root of 144? | What is the square root of 1444?
number | How many calories are in 1.5 litres of milk? | How many calories are in 15 litres of milk?
number | Write 50 words about trees | Write 500 words about trees
number | Which tax applies to an income of 50,000? | Which tax applies to an income of 500,000?
number | What is the boiling point at 2000 m? | What is the boiling point at 200 m?
number | Explain article 5 of the GDPR | Explain article 6 of the GDPR
number | What is the second largest city in Spain? | What is the third largest city in Spain?
number | Which train leaves at 9:15? | Which train leaves at 9:45?
number | Book a table for two at eight | Book a table for eight at two
number | Compute 7 - 3 | Compute 3 - 7
number | What is -5 plus 8? | What is 5 plus 8?
number | Is x > 3 when x = 2? | Is x < 3 when x = 2?
number | How do I mix paint in a ratio of 1:3? | How do I mix paint in a ratio of 3:1?
number | Half of the users churned, what now? | Twice the users churned, what now?
number | What is the IP range of 10.0.0.0/8? | What is the IP range of 10.0.0.0/16?
number | Give the 1st law of thermodynamics | Give the 2nd law of thermodynamics
number | What will it cost for 1 user? | What will it cost for 11 users?
name | What is the capital of France? | What is the capital of Germany?
name | What is the capital of france? | What is the capital of germany?
name | Who is the president of Brazil? | Who is the president of Chile?
name | Tell me about Paris in Texas | Tell me about Paris in France
name | Who wrote Hamlet? | Who wrote Macbeth?
name | When was Tesla founded? | When was Toyota founded?
name | How old is Ann? | How old is Anna?
name | Send the invoice to Bob | Send the invoice to Rob
name | What did Smith say about Jones? | What did Jones say about Smith?
name | Compare AWS with GCP | Compare AWS with IBM
name | How do I sort a list in Python? | How do I sort a list in Java?
name | How do I sort a list in Java? | How do I sort a list in JavaScript?
name | What is the population of Austria? | What is the population of Australia?
name | Weather in Birmingham, UK | Weather in Birmingham, Alabama
name | What is the ticker of Apple? | What is the ticker of Applied Materials?
name | Who plays James Bond? | Who plays Jason Bourne?
name | What are the side effects of ibuprofen? | What are the side effects of paracetamol?
name | Is metformin taken with food? | Is methotrexate taken with food?
name | Explain the Dirichlet condition | Explain the Neumann condition
name | How do I install numpy? | How do I install scipy?
name | What does the function parse_date do? | What does the function parse_data do?
name | Open the file config.yml | Open the file config.yaml.bak
name | What is in the table user_events? | What is in the table user_event?
name | Reset the password of ann@example.com | Reset the password of bob@example.com
name | Summarise https://example.com/a | Summarise https://example.com/b
name | Who was Henry VII? | Who was Henry VIII?
name | Which gods did Greeks worship? | Which gods did Romans worship?
name | What is the anthem of Niger? | What is the anthem of Nigeria?
name | What is the currency of Slovakia? | What is the currency of Slovenia?
name | Who owns Instagram? | Who owns Pinterest?
name | Is Delta flying today? | Is United flying today?
name | What is CVE-2024-3094? | What is CVE-2024-3049?
name | What is the "open" flag? | What is the "close" flag?
language | What is the capital of France? | Quelle est la capitale de la France ?
language | What is the capital of France? | Was ist die Hauptstadt von Frankreich?
language | How do I reset my password? | Wie setze ich mein Passwort zurück?
language | How do I reset my password? | ¿Cómo restablezco mi contraseña?
language | What is the weather today? | Che tempo fa oggi?
language | Where is the train station? | Gdzie jest dworzec kolejowy?
language | Where is the library? | Waar is de bibliotheek?
language | What is artificial intelligence? | O que é inteligência artificial?
language | What is artificial intelligence? | Что такое искусственный интеллект?
language | What is artificial intelligence? | 什么是人工智能？
language | What is artificial intelligence? | 人工知能とは何ですか？
language | What is artificial intelligence? | ما هو الذكاء الاصطناعي؟
language | What is artificial intelligence? | Τι είναι η τεχνητή νοημοσύνη;
language | Was ist Inflation? | What is inflation?
language | Qual è la capitale d'Italia? | ¿Cuál es la capital de Italia?
language | Menu del día | Menu of the day
language | Translate good morning into French | Translate good morning into German
language | Answer in English: what is a neutron? | Answer in Spanish: what is a neutron?
language | Vad är klockan? | Hva er klokka?
language | 法国的首都是什么？ | 德国的首都是什么？
unit | How much is 5 miles? | How much is 5 kilometres?
unit | Set the oven to 180 celsius | Set the oven to 180 fahrenheit
unit | Is 30 °C warm? | Is 30 °F warm?
unit | The price is $20, is that fair? | The price is €20, is that fair?
unit | How long is 10 minutes of video in MB? | How long is 10 minutes of video in GB?
unit | How heavy is 2 kg of flour? | How heavy is 2 lb of flour?
unit | Take 5 mg twice a day, correct? | Take 5 g twice a day, correct?
unit | Take 5 mg twice a day, correct? | Take 5 mcg twice a day, correct?
unit | Add 2 tablespoon salt | Add 2 teaspoon salt
unit | Wait 30 seconds and retry | Wait 30 minutes and retry
unit | Delete logs older than 7 days | Delete logs older than 7 weeks
unit | What is 100 GBP in yen? | What is 100 USD in yen?
unit | Ship within 3 hours | Ship within 3 days
unit | My speed is 100 km, time 1 hour | My speed is 100 m, time 1 hour
unit | Limit the rate to 10 requests per second | Limit the rate to 10 requests per minute
unit | Allocate 512 MB of memory | Allocate 512 GB of memory
unit | Cut 4 inches of wood | Cut 4 feet of wood
unit | Is 5% a lot? | Is 5 a lot?
unit | Store 10 MiB per user | Store 10 MB per user
unit | The alarm is at 7 am | The alarm is at 7 pm
date | What happened on 4 July 1776? | What happened on 14 July 1789?
date | What is due on Monday? | What is due on Tuesday?
date | Show sales for January | Show sales for February
date | Show sales of last month | Show sales of this month
date | What is the weather tomorrow? | What is the weather today?
date | Report for 2024-01-02 | Report for 2024-02-01
date | Who was pope in the 15th century? | Who was pope in the 16th century?
date | Which holidays are before Easter? | Which holidays are after Easter?
date | What did we earn in Q1 2025? | What did we earn in Q2 2025?
date | Which films came out in the 1980s? | Which films came out in the 1990s?
date | Is the shop open on Saturday? | Is the shop open on Sunday?
date | How old was she in March 2001? | How old was she in March 2010?
date | What changed since version 1.2? | What changed until version 1.2?
date | Remind me in 2 weeks | Remind me in 2 months
date | Who is the mayor? | Who was the mayor?
date | Is he a doctor? | Was he a doctor?
date | Will the bridge be closed? | Was the bridge closed?
date | What is the first day of the term? | What is the last day of the term?
date | Next flight to Oslo | Previous flight to Oslo
date | Events this year | Events next year
antonym | How do I increase my credit limit? | How do I decrease my credit limit?
antonym | How do I enable two-factor login? | How do I disable two-factor login?
antonym | What is the maximum file size? | What is the minimum file size?
antonym | How do I open an account? | How do I close an account?
antonym | How do I buy shares? | How do I sell shares?
antonym | How do I import data? | How do I export data?
antonym | How do I encrypt a file? | How do I decrypt a file?
antonym | What is the fastest route? | What is the slowest route?
antonym | Sort the list in ascending order | Sort the list in descending order
antonym | What causes hypertension? | What causes hypotension?
antonym | What causes hyperglycemia? | What causes hypoglycemia?
antonym | Turn on the heating | Turn off the heating
antonym | Turn the volume up | Turn the volume down
antonym | Which stocks are rising? | Which stocks are falling?
antonym | What are the advantages of nuclear power? | What are the disadvantages of nuclear power?
antonym | How do I install the agent? | How do I uninstall the agent?
antonym | How do I add a user? | How do I remove a user?
antonym | Is it legal to record calls? | Is it illegal to record calls?
antonym | How do I upload a file? | How do I download a file?
antonym | Which products are cheap? | Which products are expensive?
antonym | Who is taller than Tom? | Who is shorter than Tom?
antonym | What did the buyer ask? | What did the seller ask?
antonym | Is the tumour benign? | Is the tumour malignant?
antonym | What can an employer deduct? | What can an employee deduct?
antonym | What is the gross margin? | What is the net margin?
antonym | Rights of the landlord | Rights of the tenant
antonym | Drive to the left | Drive to the right
antonym | Which cells are in the same row? | Which cells are in the same column?
antonym | Are all swans white? | Are some swans white?
antonym | What should I do before surgery? | What should I do after surgery?
antonym | Most populous country in Africa | Least populous country in Africa
antonym | Describe a strong acid | Describe a weak acid
antonym | Describe a strong acid | Describe a strong base
antonym | Explain asynchronous calls | Explain synchronous calls
antonym | Deposit money | Withdraw money
antonym | Which is better, tea or coffee? | Which is worse, tea or coffee?
antonym | Approve the request | Reject the request
antonym | How do I lock the door? | How do I unlock the door?
antonym | Why do people love Mondays? | Why do people hate Mondays?
antonym | Is the glass half full? | Is the glass half empty?
role | Does the dog bite the man? | Does the man bite the dog?
role | Transfer money from savings to checking | Transfer money from checking to savings
role | Translate from English to Polish | Translate from Polish to English
role | Who beat Brazil? | Who did Brazil beat?
role | Emails from my manager | Emails to my manager
role | Did Rome conquer Greece? | Did Greece conquer Rome?
role | Is the cat bigger than the mouse? | Is the mouse bigger than the cat?
role | Convert JSON to XML | Convert XML to JSON
role | Merge main into feature | Merge feature into main
role | Flights from Rome to Oslo | Flights from Oslo to Rome
asking | When did Rome fall? | Why did Rome fall?
asking | Who built the tower? | Where is the tower built?
asking | How many people live there? | How long do people live there?
asking | How do I file a tax return? | When do I file a tax return?
asking | What is a mutex? | Why is a mutex?
asking | Where was he born? | When was he born?
asking | How much does it cost? | How often does it cost?
asking | Who can see my profile? | Who can edit my profile?
detail | Write a short story about a dragon | Write a short story about a unicorn
detail | Give me a recipe for apple pie | Give me a recipe for cherry pie
detail | Give me a vegan recipe for pie | Give me a recipe for pie
detail | Explain photosynthesis to a child | Explain photosynthesis to a professor
detail | Write a formal email to my boss | Write an informal email to my boss
detail | Delete the old backups | Delete the backups
detail | How do I cancel my subscription? | How do I renew my subscription?
detail | What is a green card? | What is a red card?
detail | Refund policy for clothes | Refund policy for food
detail | Can I take my cat on the plane? | Can I take my dog on the plane?
detail | Summarise the plot of the first act | Summarise the plot of the final act
detail | Show me the error log | Show me the access log
detail | Should I refinance now? | Could I refinance now?
detail | Can I park here? | Must I park here?
detail | What are the symptoms of flu? | What are the treatments of flu?
detail | What is the price of gold? | What is the price of silver?
detail | Fix the bug in the parser | Fix the typo in the parser
detail | Is the sun a star? | Is the moon a star?
detail | Best laptop for gaming | Best laptop for writing
detail | How do I boil an egg? | How do I fry an egg?
detail | Draft a letter of complaint | Draft a letter of compliment
detail | Is my complaint handled? | Is my compliant handled?
detail | Describe the desert | Describe the dessert
detail | What is the moral of the story? | What is the morale of the story?
detail | Reply to the angry customer politely | Reply to the happy customer politely
"""

# Written after the rules were made. Their first run (2 of 60 wrong offline, 5 of 60 with blind vectors) led to two
# changes: letters' case in flags and units, and Danish.
HELD_OUT = """
negation | Which plants tolerate frost? | Which plants do not tolerate frost?
negation | Is it wise to feed bread to ducks? | Is it unwise to feed bread to ducks?
negation | Who attended the meeting? | Who missed the meeting?
negation | Are bats blind? | Are bats not blind?
negation | Show items that are in stock | Show items that are out of stock
negation | List files that match the pattern | List files that fail to match the pattern
negation | Recommend films with violence | Recommend films free of violence
negation | Le train est-il arrivé ? | Le train n'est-il pas arrivé ?
number | What is the area of a 3 by 4 rectangle? | What is the area of a 3 by 5 rectangle?
number | Explain chapter IV | Explain chapter VI
number | How do I use port 8080? | How do I use port 8008?
number | Divide 9 by 3 | Divide 3 by 9
number | Give the atomic number of element 26 | Give the atomic number of element 62
number | A quarter of the cake, how much is it? | A third of the cake, how much is it?
number | Set the timeout to 1.5 s | Set the timeout to 15 s
number | What is 2^10? | What is 2^11?
name | What is the height of Everest? | What is the height of Kilimanjaro?
name | who is the ceo of intel | who is the ceo of nvidia
name | Does Postgres support upsert? | Does MySQL support upsert?
name | Write a haiku like Basho | Write a haiku like Issa
name | What does the flag -v do? | What does the flag -V do?
name | Explain the class UserService | Explain the class UserServices
name | Distance from Lyon to Nice | Distance from Lyon to Nantes
name | Is Georgia in Europe? | Is Georgia in America?
name | Describe the planet Mercury | Describe the element Mercury
name | Who founded LinkedIn? | Who founded Linksys?
language | How much does it cost? | Combien ça coûte ?
language | How much does it cost? | Wie viel kostet es?
language | Où est la gare ? | Where is the station?
language | Hvad hedder du? | Hva heter du?
language | Write in Dutch: hello | Write in Danish: hello
language | 今日の天気は？ | 明日の天気は？
unit | Walk 3 miles a day, good? | Walk 3 hours a day, good?
unit | 200 calories or joules? | 200 joules or watts?
unit | Raise the temperature by 5 K | Raise the temperature by 5 F
unit | A loan of 100k EUR | A loan of 100k USD
unit | Timeout of 10 ms | Timeout of 10 s
unit | A file of 3 GB | A file of 3 Gb
date | Who ruled in 1066? | Who ruled in 1606?
date | Deadline on 03/04 | Deadline on 04/03
date | Weather in spring | Weather in autumn
date | What is open tonight? | What is open this morning?
date | Sales in the first half of 2024 | Sales in the second half of 2024
antonym | How do I gain weight? | How do I lose weight?
antonym | How do I mute a channel? | How do I unmute a channel?
antonym | What is the entrance fee? | What is the exit fee?
antonym | Describe convex lenses | Describe concave lenses
antonym | Who are the defenders? | Who are the attackers?
antonym | Is this an introvert? | Is this an extrovert?
antonym | How do I zoom in? | How do I zoom out?
antonym | Explain deflation | Explain inflation
antonym | Which drugs are uppers? | Which drugs are downers?
antonym | Start the vehicle | Park the vehicle
role | Did Ann invite Tom? | Did Tom invite Ann?
role | Convert a string to an int | Convert an int to a string
role | Is A taller than B? | Is B taller than A?
detail | Write a limerick about cheese | Write a sonnet about cheese
detail | Summarise in one sentence | Summarise in one paragraph
detail | Is tea healthy for dogs? | Is tea healthy for humans?
detail | Explain it to me simply | Explain it to me in depth
"""

DUPLICATES = """
case | What is the capital of France? | what is the capital of france?
case | How do I reset my password? | HOW DO I RESET MY PASSWORD?
case | explain recursion | Explain Recursion
case | who wrote hamlet | Who wrote Hamlet
case | List the planets | list the planets
case | translate Good Morning into french | Translate good morning into French
sign | What is the capital of France? | What is the capital of France
sign | How do I reset my password? | How do I reset my password??
sign | Explain recursion. | Explain recursion
sign | Hello, how do I reset my password? | Hello! How do I reset my password?
sign | What is inflation? | What is inflation ?
sign | What's the time? | What’s the time?
sign | List three fruits: | List three fruits.
sign | Is it safe, really? | Is it safe really?
sign | Who are you! | Who are you
sign | Tell me a joke... | Tell me a joke
space | What is the capital of France? |   What  is the capital   of France?
space | Explain recursion | Explain  recursion
space | How do I boil an egg? | How do I boil an  egg?
space | Write a poem about rain | Write a poem  about rain
space | Is 17 a prime number? | Is 17  a prime number?
manners | What is the capital of France? | Please, what is the capital of France?
manners | What is the capital of France? | Hi, what is the capital of France?
manners | What is the capital of France? | Hello there! What is the capital of France?
manners | What is the capital of France? | What is the capital of France, please?
manners | What is the capital of France? | What is the capital of France? Thanks!
manners | What is the capital of France? | Could you please tell me what is the capital of France?
manners | What is the capital of France? | Can you tell me: what is the capital of France?
manners | Explain recursion | Please explain recursion
manners | Explain recursion | Can you explain recursion?
manners | Explain recursion | Could you explain recursion, please?
manners | Explain recursion | Hey, could you kindly explain recursion? Thank you
manners | Summarise this text | Please summarise this text. Thanks in advance
manners | Write a haiku about snow | Can you write a haiku about snow?
manners | Write a haiku about snow | Would you please write a haiku about snow
manners | How do I boil an egg? | Hey, how do I boil an egg?
manners | How do I boil an egg? | How do I boil an egg, thx
manners | Who wrote Hamlet? | I would like to know who wrote Hamlet
manners | Who wrote Hamlet? | Do you know who wrote Hamlet?
manners | Who wrote Hamlet? | I was wondering: who wrote Hamlet?
manners | List the planets | Please list the planets, thank you
manners | List the planets | Kindly list the planets
manners | Is 17 a prime number? | Good morning, is 17 a prime number?
manners | How many legs has a spider? | Please tell me how many legs has a spider
manners | Translate good morning into French | Could you translate good morning into French?
manners | Convert 100 USD to EUR | Please convert 100 USD to EUR
manners | Fix the bug in the parser | Could you fix the bug in the parser, please?
manners | Draft a letter of complaint | Can you draft a letter of complaint please
manners | What is a mutex? | Okay, what is a mutex?
manners | Compare AWS with GCP | So, compare AWS with GCP
short | What is the capital of France? | What's the capital of France?
short | Who is the mayor? | Who's the mayor?
short | How is the weather? | How's the weather?
short | Where is the library? | Where's the library?
short | I am late, what now? | I'm late, what now?
short | Do not restart, why? | Don't restart, why?
short | Why is it not working? | Why isn't it working?
short | It does not start, what can I do? | It doesn't start, what can I do?
short | They are late, why? | They're late, why?
short | I have lost my key, now what? | I've lost my key, now what?
short | I cannot log in, what now? | I can't log in, what now?
short | I can not log in, what now? | I can't log in, what now?
short | It will not start, why? | It won't start, why?
short | What will happen? | What'll happen?
short | We are not ready, what now? | We aren't ready, what now?
article | What is the capital of France? | What is capital of France?
article | Write a poem about the rain | Write poem about rain
article | How do I boil an egg? | How do I boil egg?
article | Give me a recipe for an apple pie | Give me recipe for apple pie
article | Is the sun a star? | Is sun a star?
article | Explain the theory of relativity | Explain theory of relativity
article | How do I open the account? | How do I open an account?
article | Show me the error log | Show me error log
article | What is the price of gold? | What is price of gold?
article | Fix the bug in the parser | Fix a bug in the parser
number | Give me 3 ideas for a party | Give me three ideas for a party
number | Give me ten names for a cat | Give me 10 names for a cat
number | What is 1,000 times 2? | What is 1000 times 2?
number | How heavy is 10kg of iron? | How heavy is 10 kg of iron?
number | What is 2.50 plus 1? | What is 2.5 plus 1?
number | Run 5km, is that far? | Run 5 km, is that far?
number | Name seven wonders | Name 7 wonders
number | What are the twelve months? | What are the 12 months?
number | Allocate 512MB of memory | Allocate 512 MB of memory
number | Tax on an income of 50,000 | Tax on an income of 50000
spelling | What is your favourite colour? | What is your favorite color?
spelling | Summarise the text | Summarize the text
spelling | How do I organise my files? | How do I organize my files?
spelling | Where is the city centre? | Where is the city center?
spelling | Normalise the data | Normalize the data
spelling | Explain the behaviour of gas | Explain the behavior of gas
spelling | How long is a metre? | How long is a meter?
spelling | My order was cancelled, why? | My order was canceled, why?
spelling | Optimise this query | Optimize this query
spelling | Is grey a colour? | Is gray a color?
spelling | Cheap theatre tickets | Cheap theater tickets
mixed | What is the capital of France? | hi, what's the capital of france
mixed | How do I reset my password? | hello, please: how do i reset my password
mixed | Who wrote Hamlet? | hey there, who wrote hamlet?? thanks
mixed | Give me three ideas for a party | can you give me 3 ideas for a party?
mixed | Explain the theory of relativity | could you please explain theory of relativity
mixed | Summarise the text | Hi! Can you summarize the text, please?
mixed | Is it not working? | isn't it working
mixed | How heavy is 10 kg of iron? | please tell me how heavy is 10kg of iron
mixed | What is a mutex? | What's a mutex? Thanks.
mixed | Wie setze ich mein Passwort zurück? | wie setze ich mein passwort zurück
mixed | Quelle est la capitale de la France ? | quelle est la capitale de la france?
mixed | 什么是人工智能？ | 什么是人工智能
"""

PARAPHRASES = """
How do I reset my password? | I forgot my login secret, how can I get a new one?
What is the capital of France? | Which city is the seat of the French government?
How do I cancel my subscription? | I want to end my membership, what are the steps?
Why is the sky blue? | What makes the heavens look blue?
How do I boil an egg? | What's the way to cook eggs in boiling water?
Explain recursion | Describe how a function can call itself
What is inflation? | Describe the general rise of consumer prices
How can I lose weight? | What helps with getting slimmer?
Tell me a joke | Say something funny
Where can I park near the stadium? | Parking spots close to the arena?
How do I sort a list in Python? | Ordering the elements of a Python sequence
How do vaccines work? | By which mechanism does immunization protect people?
Sorting lists in Python | Sort a list in Python
Fixing bugs in a parser | Fix bug in parser
What is the price of gold? | How much is gold?
Who wrote Hamlet? | Hamlet was written by whom?
What is a mutex? | Define the term mutex
How do I contact support? | What's the way to reach your help desk?
Is my data encrypted at rest? | Do you store my information in encrypted form?
Where do I find my invoices? | In which menu are the bills?
"""


def pairs(text: str) -> list[tuple[str, ...]]:
    """(kind, one, other), or (one, other)."""
    lines = [line for line in text.strip("\n").splitlines() if line.strip()]
    return [tuple(part.strip(" ") for part in line.split(" | ")) for line in lines]
