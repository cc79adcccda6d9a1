package live

import (
	"context"
	"net"
	"strings"
	"time"
)

// nameWithin bounds how long a name is looked up.
const nameWithin = 5 * time.Second

// Elsewhere names the host of a live server's address where that is none of this
// machine's: a server that is started here does not answer there. It is empty where the
// address leads here. A name that nobody knows leads nowhere, and so not here.
func Elsewhere(ctx context.Context, address string) (host string, err error) {
	config, err := liveConfig(address)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(config.Host, "/") { // the directory of a Unix socket
		return "", nil
	}
	within, cancel := context.WithTimeout(ctx, nameWithin)
	defer cancel()
	found, err := net.DefaultResolver.LookupIPAddr(within, config.Host)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return config.Host, nil
	}
	for _, ip := range found {
		if ip.IP.IsUnspecified() {
			return "", nil
		}
		local, err := isLocal(ip.IP.String())
		if err != nil || local {
			return "", err
		}
	}
	return config.Host, nil
}
