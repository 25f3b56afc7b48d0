"""The steps of the recipe language, one file a step: typed body, rules, effect, execution."""
