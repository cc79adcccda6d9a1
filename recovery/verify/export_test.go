package verify

import "time"

// Sounds are the names of all that can be asked of a database.
func Sounds() []string {
	var names []string
	for _, s := range sounds {
		names = append(names, s.name)
	}
	return names
}

// SetPatience shortens how long a check waits for connections, until the function that it gives
// is called.
func SetPatience(pauses ...time.Duration) func() {
	was := patience
	patience = pauses
	return func() { patience = was }
}
