// Standin stands in for a program under the race detector where that costs much and
// sees nothing: as the init of a box, and as the client that restore_command starts.
// Such a process takes a tenth of a second to start, and the tests start thousands.
package main

import (
	"context"
	"fmt"
	"os"

	"comeback/recovery/isolation"
	"comeback/recovery/pitr/walfetch"
)

func main() {
	isolation.Init()
	if len(os.Args) == 5 && os.Args[1] == "wal" && os.Args[2] == "fetch" {
		os.Exit(walfetch.Ask(context.Background(), os.Getenv(walfetch.SocketEnv), os.Args[3], os.Args[4]))
	}
	fmt.Fprintln(os.Stderr, "standin: it is for tests only")
	os.Exit(2)
}
