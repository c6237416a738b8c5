"""FOCUS (FinOps Open Cost and Usage Specification): an organisation's costs as rows of the open standard.

`columns` says which columns a version has, `rows` makes one row of one charge, `check` reads a file and says what does
not conform; these are pure. `recorded` and `billed` read the two ledgers, `coverage` decides which of them speaks.
"""
