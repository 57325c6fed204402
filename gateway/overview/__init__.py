"""The status page's reading of the house: figures, and the rules that say how it does."""

from gateway.overview.figures import read
from gateway.overview.rules import Funnel, Overview, Scope

__all__ = ["Funnel", "Overview", "Scope", "read"]
