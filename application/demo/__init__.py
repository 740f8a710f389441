"""A made-up year of a product, for a development database.

acts        what can happen in it
people      the users and organizations
year        who does what, and when: the incident, the new toggle, the erasures
filling     makes the year happen, by the domain's own rules
"""
