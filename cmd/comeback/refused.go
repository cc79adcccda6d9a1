package main

import (
	"fmt"
	"strings"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// tellRefused says which copies could not be judged, each once, with what to do, but for those
// of which the error that follows tells as much.
func tellRefused(say *plainWriter, cat catalogue.Catalogue, follows error) {
	for _, r := range catalogue.Beside(cat.Refused(), follows) {
		say.line("", "copy %s could not be judged for %s: %v%s", r.Copy, strings.Join(r.Components, ", "), r.Err, prefixed("; next: ", recovery.HintOf(r.Err)))
	}
}

// refusedIs names what could not be looked at: a whole copy by its name and the components that
// are missed, else also the engines that looked.
func refusedIs(r catalogue.Refused) string {
	what := fmt.Sprintf("%s, %s", r.Copy, strings.Join(r.Components, ", "))
	if r.Whole {
		return what
	}
	return what + " by " + strings.Join(r.Engines, ", ")
}
