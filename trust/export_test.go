package trust

// Chains says how many paths are remembered.
func (j *Judge) Chains() int {
	j.chains.mu.Lock()
	defer j.chains.mu.Unlock()
	return len(j.chains.m)
}
