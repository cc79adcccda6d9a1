package cnpg

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// lastWords is what the pod of a failed recovery said last of why; "" where it is not told.
func (p place) lastWords(ctx context.Context, pods []pod) string {
	role := func(q pod) string { return q.Metadata.Labels["cnpg.io/jobRole"] }
	i := slices.IndexFunc(pods, func(q pod) bool { return q.Status.Phase == "Failed" && role(q) != "" })
	if i < 0 {
		return ""
	}
	q := url.Values{"container": {role(pods[i])}, "tailLines": {"200"}}
	b, err := p.ask(ctx, call{verb: "get", resource: "pods/log", path: p.in(coreAPI, "pods", pods[i].Metadata.Name, "log") + "?" + q.Encode()})
	if err != nil {
		return "" // the job's own words are told in any case
	}
	return why(string(b))
}

// notYet is SQLSTATE cannot_connect_now.
const notYet = "57P03"

// why finds in the log of a recovery, a JSON object a line, what it failed of: PostgreSQL's
// own words before those of the programs around it.
func why(log string) string {
	var fatal, failed string
	for line := range strings.Lines(log) {
		var l struct {
			Level  string `json:"level"`
			Msg    string `json:"msg"`
			Error  string `json:"error"`
			Record struct {
				Severity string `json:"error_severity"`
				State    string `json:"sql_state_code"`
				Message  string `json:"message"`
			} `json:"record"`
		}
		if json.Unmarshal([]byte(line), &l) != nil {
			continue
		}
		switch {
		case l.Record.State == notYet: // what a session was told that came meanwhile
		case l.Record.Severity == "FATAL" || l.Record.Severity == "PANIC":
			fatal = l.Record.Message
		case l.Level == "error":
			failed = strings.TrimSuffix(l.Msg+": "+l.Error, ": ")
		}
	}
	return cmp.Or(fatal, failed)
}

// hints are what to do about the words of a recovery that has failed.
var hints = map[string]string{
	"before configured recovery target was reached": "choose --to latest, or an earlier moment: the archive has no commit after this one yet",
	"Expected empty archive":                        "give what is restored another serverName: the source's archive is not written to",
	"no target backup found":                        "choose another backup: see comeback moments",
	"AccessDenied":                                  "let the cluster's account read the store, then retry",
	"NoSuchBucket":                                  "correct the source's destinationPath, then make a new plan",
	"No space left on device":                       "enlarge the source's storage, then make a new plan",
}

func hintOf(words, otherwise string) string {
	for part, hint := range hints {
		if strings.Contains(words, part) {
			return hint
		}
	}
	return otherwise
}
