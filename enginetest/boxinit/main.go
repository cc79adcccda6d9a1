// Boxinit is the init of boxes for tests that run under the race detector: each of
// its processes takes a tenth of a second to start, and the tests start hundreds.
package main

import (
	"fmt"
	"os"

	"comeback/recovery/isolation"
)

func main() {
	isolation.Init()
	fmt.Fprintln(os.Stderr, "boxinit: it is started by recovery/isolation only")
	os.Exit(2)
}
