"""How a claim link reaches the payer's eyes (R030, R031, R264): the ways, in their order, and what became of each.

A way is a small file: `slip` (the page that WeChat opens after a payment), `till` (a shop's second screen), and in
`ways` those that need no more than a name: the printed code and the customer's own page. `showings` keeps what was
shown and what failed, `screens` the paired devices.
"""
