package execute

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

const (
	// environmentKey is the variable by which keys come from the environment.
	environmentKey = "AWS_ACCESS_KEY_ID"
	// inBuckets is how the names of what lies in a bucket begin.
	inBuckets = "s3://"
)

// hintOf is what to do about a failure. Where a copy has refused keys of the environment, these
// stay what they are for as long as this process lives, and only another one can have others;
// those of a profile are read again for each attempt that a person asks for.
func (x *Executor) hintOf(err error) string {
	hint := recovery.HintOf(err)
	refused, ok := errors.AsType[*storage.Error](err)
	if !ok || refused.Kind != storage.ErrDenied || !strings.HasPrefix(refused.Object, inBuckets) || !x.asksWithEnvironment() {
		return hint
	}
	keys := fmt.Sprintf("the keys are those of the environment (%s), which the runner keeps: to give it others, end it with kill -9 %d, export them, then: comeback resume %s",
		environmentKey, os.Getpid(), x.Plan.Run)
	if hint == "" {
		return keys
	}
	return hint + "; " + keys
}

// asksWithEnvironment reports whether a copy of the plan may be asked with keys of the
// environment: there are some, and it names no profile.
func (x *Executor) asksWithEnvironment() bool {
	key, ok := x.Secrets.value(environmentKey)
	return ok && key != "" && slices.ContainsFunc(x.Plan.Copies, func(c recovery.Copy) bool {
		return c.Profile == "" && !strings.HasPrefix(c.URL, "file:") // its URL may be a reference
	})
}
