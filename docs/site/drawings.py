def inlined(m):
    return m
