//go:build !race

package pitr

// fetchClient is the program that restore_command starts.
func fetchClient(exe string) string { return exe }
