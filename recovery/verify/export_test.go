package verify

// Sounds are the names of all that can be asked of a database.
func Sounds() []string {
	var names []string
	for _, s := range sounds {
		names = append(names, s.name)
	}
	return names
}
