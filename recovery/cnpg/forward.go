package cnpg

import (
	"context"
	"fmt"
	"net"
	"sync"

	"comeback/pattern"
	"comeback/recovery"
)

// forward is a `kubectl port-forward` that runs: what connects to its address comes out at
// a service.
type forward struct {
	*helper
	address string
}

// forwarded is what kubectl says when it listens.
var forwarded = pattern.New(`Forwarding from (127\.0\.0\.1:[0-9]+) ->`)

// forward starts one to a port of a service, and returns when it listens.
func (k kube) forward(ctx context.Context, service, port string) (*forward, error) {
	h, address, err := k.start(ctx, forwarded, "port-forward", "--namespace", k.Namespace, "--address", "127.0.0.1", "service/"+service, ":"+port)
	if err != nil && h != nil {
		return nil, k.refusal(ctx, call{verb: "create", resource: "pods/portforward"}, answer{Message: h.String()}, err)
	}
	return &forward{h, address}, err
}

// tunnel leads to a service through a forward, which is started again where it has ended.
type tunnel struct {
	kube
	service string

	mu sync.Mutex
	on *forward
}

// dial opens a connection to the service. It is what a session is opened with.
func (t *tunnel) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.on != nil && t.on.over() {
		t.on.cancel()
		t.on = nil
	}
	if t.on == nil {
		on, err := t.forward(ctx, t.service, "5432")
		if err != nil {
			return nil, err
		}
		t.on = on
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.on.address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s through kubectl: %w", t.service, err)
	}
	return conn, nil
}

// again ends the forward, so that the next connection starts another: older ones of kubectl
// go on although their pod is gone.
func (t *tunnel) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.on != nil {
		t.on.stop()
		t.on = nil
	}
}

// refusedTunnel is the error of a service that cannot be reached.
func refusedTunnel(service string, err error) error {
	hint := recovery.HintOf(err)
	if hint == "" {
		hint = "check the secret that checks sign on by (`secret:` of the component) and the database, then retry"
	}
	return recovery.Errorf(hint, "sign on to the service %s: %w", service, err)
}
