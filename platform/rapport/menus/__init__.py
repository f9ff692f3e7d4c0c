"""Arm menus shipped with the package, one YAML file an agent."""
