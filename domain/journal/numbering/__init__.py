"""Gives billing events their numbers after the commit, so that readers in order never miss one."""
