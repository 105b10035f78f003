"""Seals anew, under the present master key, what is sealed under others that are named too."""
