package cnpg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/storage"
)

// proxy is a `kubectl proxy` that runs: what it is asked by its socket it asks the API
// server, as whoever the kubeconfig says. Nobody else can: the socket's name is gone as soon
// as this process holds the socket itself.
type proxy struct {
	*helper
	socket *os.File
	client *http.Client
}

// serves is what kubectl says when it listens.
var serves = pattern.New(`Starting to serve on (\S+)`)

// answersIn is how long the API server may take for one answer.
const answersIn = 30 * time.Second

// startProxy starts one, and returns when it listens.
func (k kube) startProxy(ctx context.Context) (*proxy, error) {
	dir, err := os.MkdirTemp("", "cb-kubectl-")
	if err != nil {
		return nil, fmt.Errorf("make room for a socket: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "api")
	h, _, err := k.start(ctx, serves, "proxy", "--unix-socket", path)
	if err != nil && h != nil {
		return nil, k.unstarted(h.String(), err)
	} else if err != nil {
		return nil, err
	}
	p := &proxy{helper: h}
	if p.socket, err = os.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW, 0); err != nil {
		h.stop()
		return nil, fmt.Errorf("hold the socket of kubectl: %w", err)
	}
	by := fmt.Sprintf("/proc/self/fd/%d", p.socket.Fd())
	p.client = &http.Client{Timeout: answersIn, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", by)
	}}}
	return p, nil
}

// stop ends it.
func (p *proxy) stop() {
	p.client.CloseIdleConnections()
	p.helper.stop()
	_ = p.socket.Close() // it was only held
}

// unstarted is why kubectl does not begin.
func (k kube) unstarted(said string, err error) error {
	hint := "run `kubectl --context " + k.Context + " get --raw /version` by hand, then retry"
	e := &storage.Error{Op: "start kubectl for " + k.Context, Says: shortened(said), Err: errors.Join(err)}
	switch {
	case strings.Contains(said, "does not exist") || strings.Contains(said, "no such file"):
		hint = "check `context:` and `kubeconfig:` of the component; `kubectl config get-contexts` lists them"
	case signedOut.MatchString(said):
		e.Kind, hint = storage.ErrExpired, "sign in again, then retry"
	}
	return &recovery.Error{What: e.Error(), Hint: hint, Err: e}
}
