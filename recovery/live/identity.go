package live

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/postgres"
)

// Identity is which server is meant, and which database of it. No single part of
// it is enough: the system identifier is the same on every physical copy, a name
// is given to another machine, a path to another directory, and a database of the
// same name is made anew.
type Identity struct {
	// Host is this machine's name where the server runs on it; empty where it
	// runs elsewhere.
	Host string `json:"host,omitempty"`
	// Address is how it was reached: "10.0.0.5:5432", or the socket's
	// directory with the port.
	Address          string `json:"address"`
	SystemIdentifier string `json:"system_identifier"`
	Timeline         uint32 `json:"timeline"`
	Standby          bool   `json:"standby,omitempty"`
	// Data is the data directory, Inode which directory that is; both are empty
	// where they cannot be read from here.
	Data  string            `json:"data,omitempty"`
	Inode exchange.Identity `json:"inode,omitzero"`
	// Version is the server's, "15.18".
	Version string `json:"version,omitempty"`
	Major   int    `json:"major"`
	// Database and OID are the database's; of a server that is shut down they
	// are not known.
	Database string `json:"database,omitempty"`
	OID      uint32 `json:"oid,omitempty"`
}

// OfCluster is the identity of the server in named parts; numbers are text. It is
// the same read from a running server on this machine as from its data directory
// while it is shut down.
func (i Identity) OfCluster() map[string]string {
	parts := map[string]string{
		recovery.SystemIdentifier: i.SystemIdentifier,
		"timeline":                strconv.FormatUint(uint64(i.Timeline), 10),
		"role":                    "primary",
	}
	if i.Standby {
		parts["role"] = "standby"
	}
	if i.Host == "" {
		parts["address"] = i.Address
		return parts
	}
	parts["host"] = i.Host
	if i.Data != "" {
		parts["data directory"] = i.Data
	}
	if i.Inode != (exchange.Identity{}) {
		// With its birth: the number of a removed directory is given to the next.
		if text, err := i.Inode.MarshalText(); err == nil {
			parts["inode"] = string(text)
		}
	}
	return parts
}

// OfDatabase adds the database's name and OID.
func (i Identity) OfDatabase() map[string]string {
	parts := i.OfCluster()
	if i.Database != "" {
		parts["database"] = i.Database
	}
	if i.OID != 0 {
		parts["database oid"] = strconv.FormatUint(uint64(i.OID), 10)
	}
	return parts
}

// IdentifyDirectory reads the identity of a server from its data directory on
// this machine, be it running or shut down.
func IdentifyDirectory(ctx context.Context, tools postgres.Tools, data string) (Identity, error) {
	host, err := os.Hostname()
	if err != nil {
		return Identity{}, fmt.Errorf("read this machine's name: %w", err)
	}
	data, err = filepath.EvalSymlinks(data)
	if err != nil {
		return Identity{}, fmt.Errorf("look at the data directory: %w", err)
	}
	inode, err := exchange.Identify(data)
	if err != nil {
		return Identity{}, err
	}
	control, err := postgres.ReadControl(ctx, tools, data)
	if err != nil {
		return Identity{}, err
	}
	return Identity{Host: host, SystemIdentifier: control.SystemIdentifier, Timeline: control.Timeline,
		Standby: control.State == "shut down in recovery" || control.State == "in archive recovery",
		Data:    data, Inode: inode, Major: tools.Major}, nil
}
