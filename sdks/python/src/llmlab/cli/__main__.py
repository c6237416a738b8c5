"""`python -m llmlab.cli`"""

from llmlab.cli import main

main()
