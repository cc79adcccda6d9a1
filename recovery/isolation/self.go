//go:build !race

package isolation

// initProgram is the program that is the init of a box: this one.
func initProgram() string { return "/proc/self/exe" }
