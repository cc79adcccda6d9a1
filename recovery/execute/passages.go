package execute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
	"syscall"

	"comeback/recovery/isolation"
)

// passages lead from the box of a program to the applications that run in boxes of
// their own: what the program connects to at an address of its loopback comes out at
// the same address in the application's box. They lead nowhere else, and not back.
type passages struct {
	door      *isolation.Door // of the program's box; own is to be closed
	own       *isolation.Door
	addresses []string
	to        []*application

	listeners []net.Listener
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// passages prepares a box for what the applications of this run listen on now.
func (x *Executor) passages(ctx context.Context, box *isolation.Box) (*passages, error) {
	p := &passages{cancel: func() {}}
	for _, a := range x.started.list() {
		listening, err := a.door.Listening(ctx)
		if err != nil {
			if a.over() {
				continue // nobody is there to be reached
			}
			return nil, fmt.Errorf("reach %s: %w", a.name, err)
		}
		for _, address := range listening {
			// Of two with one address the first is reached: each has its own.
			if !slices.Contains(p.addresses, address) {
				p.addresses, p.to = append(p.addresses, address), append(p.to, a)
			}
		}
	}
	if len(p.addresses) == 0 {
		return p, nil
	}
	if p.door = box.Door; p.door == nil {
		door, err := isolation.NewDoor()
		if err != nil {
			return nil, err
		}
		p.door, p.own, box.Door = door, door, door
	}
	box.Listen = p.addresses
	return p, nil
}

// start starts the program in its box, and serves the listeners of that.
func (p *passages) start(ctx context.Context, box isolation.Box, cmd *exec.Cmd) error {
	if err := box.Start(cmd); err != nil || p.door == nil {
		return err
	}
	listeners, err := p.door.Listeners(len(p.addresses))
	if err != nil {
		// It runs already, and is not to without its way.
		return errors.Join(err, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL), cmd.Wait())
	}
	p.listeners = listeners
	ctx, p.cancel = context.WithCancel(ctx)
	for i, l := range listeners {
		if l == nil {
			continue // one of "0.0.0.0" and "::" may be one too many
		}
		p.running.Go(func() { p.serve(ctx, l, p.to[i], inward(p.addresses[i])) })
	}
	return nil
}

// serve leads whoever connects to an application, until the listener is closed.
func (p *passages) serve(ctx context.Context, l net.Listener, a *application, address string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() {
			defer from.Close()
			to, err := a.door.Dial(ctx, address)
			if err != nil {
				return // as where nobody listens: the connection ends
			}
			defer to.Close()
			defer context.AfterFunc(ctx, func() { from.Close(); to.Close() })()
			var both sync.WaitGroup
			both.Go(func() { carry(to, from) })
			both.Go(func() { carry(from, to) })
			both.Wait()
		})
	}
}

// carry copies what one end says to the other, and its end.
func carry(to, from net.Conn) {
	_, _ = io.Copy(to, from) // an end that breaks off has ended
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may be closed already
	}
}

// close ends all passages, and returns when nothing of them runs.
func (p *passages) close() error {
	p.cancel()
	var err error
	for _, l := range p.listeners {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	p.running.Wait()
	if p.own != nil {
		err = errors.Join(err, p.own.Close())
	}
	return err
}

// inward is the address to connect to for one that is listened on: loopback where
// that is every address.
func inward(address string) string {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !a.Addr().IsUnspecified() {
		return address
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if a.Addr().Is6() {
		loopback = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(loopback, a.Port()).String()
}
