# %% add
total = sum(range(4))  # the sum
print("total", total)

# %% check
# claim: total-is-six
assert total == 6
