"""The levels and scores that every store has; one of the same name in the settings takes the place of a shipped one."""

from collections.abc import Mapping

from models.settings import LevelStep, ScoreSpec, SettingsSpec

# By orders, best first; vip and loyal by what a shop of middling prices sees in a year.
BUYER: list[LevelStep] = [
    {"vip": "profile.orders >= 10 || profile.spent >= 1000"},
    {"loyal": "profile.orders >= 5"},
    {"frequent": "profile.orders >= 3 && profile.days_between_orders <= 60"},
    {"sporadic": "profile.orders >= 2"},
    {"new": "profile.orders == 1"},
    {"never": True},
]
ACTIVITY: list[LevelStep] = [
    {"active": 'age(profile.last_seen) <= duration("60d")'},
    {"inactive": 'age(profile.last_seen) <= duration("365d")'},
    {"lost": True},
]
ENGAGEMENT: list[LevelStep] = [
    {"hot": 'score("engagement") >= 40'},
    {"warm": 'score("engagement") >= 10'},
    {"cold": True},
]
LEVELS = {"buyer": BUYER, "activity": ACTIVITY, "engagement": ENGAGEMENT}
POINTS = {
    "page_viewed": 1,
    "product_viewed": 1,
    "message_opened": 2,
    "message_clicked": 5,
    "cart_changed": 3,
    "order_placed": 20,
}
SCORES = {"engagement": ScoreSpec(half_life="30d", events=POINTS)}


def levels_of(settings: SettingsSpec) -> Mapping[str, list[LevelStep]]:
    """Return the levels, the store's own before the shipped ones."""
    return {**LEVELS, **settings.levels}


def scores_of(settings: SettingsSpec) -> Mapping[str, ScoreSpec]:
    """Return the scores, the store's own before the shipped ones."""
    return {**SCORES, **settings.scores}
