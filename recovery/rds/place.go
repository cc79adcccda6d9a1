package rds

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"comeback/recovery"
	"comeback/recovery/provider"
)

// The tags of what a run has asked for: the run, for people; the claim, which alone says
// whose it is; and what it is a restore of.
const (
	tagRun   = tagPrefix + "run"
	tagClaim = tagPrefix + "claim"
	tagOf    = tagPrefix + "restore-of"
)

// place is what a step works on: a new instance or cluster, by its name.
type place struct {
	args
	service
	run string
}

func openPlace(ctx context.Context, env recovery.Env, step recovery.Step) (place, error) {
	var p place
	if err := step.Decode(&p.args); err != nil {
		return p, err
	}
	handle, err := env.Target(ctx, p.Target)
	if err != nil {
		return p, err
	}
	if !handle.Scratch {
		return p, provider.NotScratch("RDS", p.Target)
	}
	p.run = provider.Run(handle.Dir)
	p.service, err = p.Facts.Account.open(ctx, env.Secret)
	return p, err
}

// name is new for each run and component.
func (p place) name() string { return identifier(p.run + "-" + p.Component) }

// member is the name of a cluster's instance.
func (p place) member() string { return identifier(p.run + "-" + p.Component + "-1") }

// identifier is a name as the service allows it.
func identifier(text string) string { return provider.Name(text, 63) }

// of names what the restore is of, so that what another moment's has left is not taken
// for it.
func (p place) of() string {
	return provider.Digest(p.Facts.Resource, p.Facts.Snapshot, p.Facts.To.UTC().Format(time.RFC3339))
}

// tags are those of what is asked for under a claim.
func (p place) tags(claim string) []types.Tag {
	return p.Facts.Shape.tags(map[string]string{tagRun: p.run, tagClaim: claim, tagOf: p.of()})
}

// left reports whether what was restored is not the run's alone any more: no claim is
// held on it, or it has, or may have, the live one's name.
func (p place) left(env recovery.Env) bool {
	kind := Instance
	if p.Facts.Cluster {
		kind = Cluster
	}
	for _, r := range env.Held() {
		if n, err := namesOf(r); r.Kind == exchangedNames && err == nil && n.Beside == p.name() {
			return true
		}
	}
	return provider.Held(env, kind, p.name()) == nil
}

// ours reports whether something was made under a claim.
func (m made) ours(claim *recovery.Resource) bool {
	return claim != nil && claim.Details["claim"] != "" && tagged(m.tags, tagClaim) == claim.Details["claim"]
}

// tagged is the value of a tag.
func tagged(all []types.Tag, key string) string {
	for _, t := range all {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

// made is what is known of an instance or a cluster that a run has asked for.
type made struct {
	kind             recovery.ResourceKind
	id, arn          string
	resource, status string
	percent          string
	host, user       string
	port             int32
	encrypted        bool
	protected        bool
	key, class       string
	version          string
	parameters       string
	pending          bool
	groups           []string
	cluster          string
	replicas         []string
	global           string
	tags             []types.Tag
}

// find asks for an instance or a cluster; nil where there is none.
func (s service) find(ctx context.Context, kind recovery.ResourceKind, id string) (*made, error) {
	if kind == Cluster {
		c, err := s.findCluster(ctx, id)
		if c == nil || err != nil {
			return nil, err
		}
		return &made{kind: kind, id: id, arn: aws.ToString(c.DBClusterArn), resource: aws.ToString(c.DbClusterResourceId), status: aws.ToString(c.Status), percent: aws.ToString(c.PercentProgress),
			host: aws.ToString(c.Endpoint), port: aws.ToInt32(c.Port), encrypted: aws.ToBool(c.StorageEncrypted), key: aws.ToString(c.KmsKeyId), class: aws.ToString(c.DBClusterInstanceClass),
			version: aws.ToString(c.EngineVersion), parameters: aws.ToString(c.DBClusterParameterGroup), groups: groupsOf(c.VpcSecurityGroups), tags: c.TagList,
			protected: aws.ToBool(c.DeletionProtection), replicas: c.ReadReplicaIdentifiers, global: aws.ToString(c.GlobalClusterIdentifier)}, nil
	}
	i, err := s.findInstance(ctx, id)
	if i == nil || err != nil {
		return nil, err
	}
	m := &made{kind: kind, id: id, arn: aws.ToString(i.DBInstanceArn), resource: aws.ToString(i.DbiResourceId), status: aws.ToString(i.DBInstanceStatus), percent: aws.ToString(i.PercentProgress),
		encrypted: aws.ToBool(i.StorageEncrypted), key: aws.ToString(i.KmsKeyId), class: aws.ToString(i.DBInstanceClass), version: aws.ToString(i.EngineVersion), groups: groupsOf(i.VpcSecurityGroups), tags: i.TagList, cluster: aws.ToString(i.DBClusterIdentifier), user: aws.ToString(i.MasterUsername), replicas: i.ReadReplicaDBInstanceIdentifiers,
		protected: aws.ToBool(i.DeletionProtection)}
	if i.Endpoint != nil {
		m.host, m.port = aws.ToString(i.Endpoint.Address), aws.ToInt32(i.Endpoint.Port)
	}
	for _, g := range i.DBParameterGroups {
		m.parameters, m.pending = aws.ToString(g.DBParameterGroupName), aws.ToString(g.ParameterApplyStatus) == "pending-reboot"
	}
	return m, nil
}

// String is what it is, for people.
func (m made) String() string { return fmt.Sprintf("%s %s", m.kind, m.id) }
