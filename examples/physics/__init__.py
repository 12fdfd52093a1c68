"""A coupled energy-balance model of the climate on real data.

Four stages for a workflow: `spinup`, then `atmosphere`, `ocean` and `land`,
with their ``init_`` functions, and `score_against_hadcrut` for the result. An
idealised model, set by hand: it is here to be orchestrated, not to be believed.
"""

from physics.atmosphere import atmosphere, init_atmosphere
from physics.land import init_land, land
from physics.ocean import init_ocean, ocean
from physics.parameters import Member
from physics.score import Skill, score_against_hadcrut
from physics.spinup import init_spinup, spinup

__all__ = [
    "Member",
    "Skill",
    "atmosphere",
    "init_atmosphere",
    "init_land",
    "init_ocean",
    "init_spinup",
    "land",
    "ocean",
    "score_against_hadcrut",
    "spinup",
]
