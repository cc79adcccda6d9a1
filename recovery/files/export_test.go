package files

// SetWorkFactor makes passphrases cheap to try.
func SetWorkFactor(n int) { workFactor = n }
