package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"comeback/recovery"
)

// HTTPCheck is the kind of step that asks an address once and holds the answer
// against a status and a text. In a rehearsal it asks an application that a step
// has started, through its box, and can reach nothing else.
type HTTPCheck struct{}

var _ recovery.Kind = HTTPCheck{}

// Applications is what an Env is, too, where steps start applications.
type Applications interface {
	// DialApplication connects to an address of the loopback of an application
	// that a step has started. It is recovery.ErrNotStarted where the host could
	// not start it.
	DialApplication(ctx context.Context, name, address string) (net.Conn, error)
}

// Name is recovery.KindHTTPCheck.
func (HTTPCheck) Name() string { return recovery.KindHTTPCheck }

// Restart says that a check may be made again.
func (HTTPCheck) Restart() recovery.Restart { return recovery.Repeat }

// maxBody is how much of an answer is looked at, answerTime how long it may take
// where the stage has no budget.
const (
	maxBody    = 4 << 20
	answerTime = 30 * time.Second
)

// Do makes the check. A redirection is an answer like any other: it is not
// followed.
func (HTTPCheck) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args recovery.HTTPCheckArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	limit := time.Duration(s.Budget)
	if limit <= 0 {
		limit = answerTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	result := recovery.CheckResult{Name: args.Name, Query: "GET " + args.URL, Expected: fmt.Sprintf("status %d", args.Status)}
	if args.Body != "" {
		result.Expected += fmt.Sprintf(" and %q in the answer", args.Body)
	}
	o := recovery.Outcome{Check: &result}
	env.Meter().Phase("ask "+args.URL, 0, recovery.NoUnit)
	status, body, err := ask(ctx, env, args)
	if errors.Is(err, recovery.ErrNotStarted) {
		says := fmt.Sprintf("not checked: %s, because %s: %s", args.Name, args.Application, err)
		return recovery.Outcome{Says: says, Exceptions: []string{says}}, nil
	}
	if err != nil {
		result.Found = "an error: " + shorten(err.Error(), maxFound)
		return o, recovery.Errorf(answerHint(err), "check %q: %w", args.Name, err)
	}
	result.Held = status == args.Status && strings.Contains(body, args.Body)
	result.Found = fmt.Sprintf("status %d", status)
	if body = strings.TrimSpace(body); body != "" {
		result.Found += ", " + shorten(fmt.Sprintf("%q", body), maxFound)
	}
	o.Says = fmt.Sprintf("expected %s, found %s", result.Expected, result.Found)
	if !result.Held {
		return o, recovery.Errorf("look at what the application has written, under artifacts/", "check %q: expected %s, found %s", args.Name, result.Expected, result.Found)
	}
	return o, nil
}

func answerHint(err error) string {
	if hint := recovery.HintOf(err); hint != "" {
		return hint
	}
	return "find out why it does not answer, then make the check again"
}

// ask gives the status and the text of the answer.
func ask(ctx context.Context, env recovery.Env, args recovery.HTTPCheckArgs) (status int, body string, err error) {
	address := args.URL
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	if args.Application != "" {
		inside, ok := env.(Applications)
		if !ok {
			return 0, "", errors.New("no application can be started here")
		}
		transport.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
			return inside.DialApplication(ctx, args.Application, address)
		}
	} else if address, err = env.Secret(args.URL); err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", fmt.Errorf("ask %s: %w", args.URL, withoutAddress(err))
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("ask %s: %w", args.URL, withoutAddress(err))
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return 0, "", fmt.Errorf("ask %s: read the answer: %w", args.URL, err)
	}
	return answer.StatusCode, string(b), nil
}

// withoutAddress is an error without the address, which may hold what a reference
// stands for.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
