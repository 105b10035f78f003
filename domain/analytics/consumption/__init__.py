"""How a customer uses the LLM product: figures by provider, trends, response times, notices and hints.

Everything is read from what the slices below keep. Words: a figure is what one provider's calls came to; the dashboard
is one document of figures, limits, projections and notices; a notice says where usage stands against a limit now; a
hint is a way to spend less, with the numbers that led to it; a target is what response times are judged by.
"""
