"""What the candidates of costs.forecasting.candidates are called on pages (apart: that module loads statsmodels)."""

LABELS = {
    "month_mean": "mean of four weeks by weekday",
    "quarter_mean": "mean of eight weeks by weekday",
    "fortnight_median": "median of two weeks by weekday",
    "week_mean": "last week's level by weekday",
    "drift": "steady growth by weekday",
    "ets_raw": "exponential smoothing",
    "ets_log": "exponential smoothing of logarithms",
    "ets_level": "exponential smoothing of the level",
    "blend": "mean of the three best methods",
}
