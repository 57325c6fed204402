"""A campaign tried out on days that were: their payments and refunds heard by a draft, in a store that is thrown away.

What decides is the campaign's own module, in its own code, told by the same host as in earnest. Nothing of the real
store is written, and nothing leaves the house: what the draft would owe (`House.owe`) is never done. What people would
have done because of the draft (claiming its links, using its coupons, buying) is not made up; what staff have prepared
is there where the kind says so (`Rehearsable`).
"""

from gateway.trying_out.draft import Draft, days_of, draft_of, table_text
from gateway.trying_out.job import KIND, MOST_DRAFTS, try_out

__all__ = ["KIND", "MOST_DRAFTS", "Draft", "days_of", "draft_of", "table_text", "try_out"]
