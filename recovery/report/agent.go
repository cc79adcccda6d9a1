package report

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"comeback/recovery"
)

// withAgent speaks with an ssh-agent; the end of ctx breaks the connection, so
// that an agent that asks somebody who is not there holds up nothing.
func withAgent(ctx context.Context, socket string, do func(agent.ExtendedAgent) error) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return recovery.Errorf("start one, or unset SSH_AUTH_SOCK to use key files", "reach the ssh-agent: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	err = do(agent.NewClient(conn))
	if ctx.Err() != nil {
		return fmt.Errorf("wait for the ssh-agent: %w", context.Cause(ctx))
	}
	return err
}

// agentKeys lists what an agent holds and can sign with. Where it offers a key
// both plain and with a certificate, the plain one is listed: a reader's list of
// signers then needs no authority.
func agentKeys(ctx context.Context, socket string) ([]Key, error) {
	var held []*agent.Key
	err := withAgent(ctx, socket, func(a agent.ExtendedAgent) (err error) {
		if held, err = a.List(); err != nil {
			return fmt.Errorf("list the keys of the ssh-agent at %s: %w", socket, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, h := range held {
		public, err := ssh.ParsePublicKey(h.Blob)
		if err != nil {
			continue // a type that cannot sign here
		}
		k := describe(public)
		k.Comment, k.socket = h.Comment, socket
		i := slices.IndexFunc(keys, k.same)
		switch {
		case k.Type == "":
		case i < 0:
			keys = append(keys, k)
		case keys[i].Certificate && !k.Certificate:
			keys[i] = k
		}
	}
	return keys, nil
}

// agentSigner signs with a key that an agent holds.
type agentSigner struct{ key Key }

func (a agentSigner) PublicKey() ssh.PublicKey { return a.key.public }

func (a agentSigner) Sign(ctx context.Context, data []byte) (*ssh.Signature, error) {
	var flags agent.SignatureFlags
	if a.key.Type == "RSA" { // with a certificate too: SHA-1 is refused by ssh-keygen
		flags = agent.SignatureFlagRsaSha512
	}
	var sig *ssh.Signature
	err := withAgent(ctx, a.key.socket, func(c agent.ExtendedAgent) (err error) {
		sig, err = c.SignWithFlags(a.key.public, data, flags)
		return err
	})
	var known *recovery.Error
	switch {
	case err == nil:
		return sig, nil
	case errors.As(err, &known):
		return nil, known
	case ctx.Err() != nil, strings.HasPrefix(err.Error(), "agent: client error"):
		return nil, fmt.Errorf("sign with the ssh-agent: %w", err)
	}
	return nil, recovery.Errorf(a.advice(), "the ssh-agent refused to sign with %s: %w", a.key, err)
}

// advice names the usual reasons of a refusal, for which agents have no words.
func (a agentSigner) advice() string {
	reasons := "answer its question if the key asks for confirmation (ssh-add -c); a key that is bound to certain hosts (ssh-add -h) cannot sign documents"
	if a.key.FIDO {
		reasons = "touch the key while it blinks; " + reasons
	}
	return reasons + "; else use another key"
}
