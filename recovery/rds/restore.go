package rds

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"comeback/recovery"
	"comeback/recovery/provider"
)

// restoreKind asks for the new instance or cluster. An interruption leaves it asked for
// or not, which the service is asked before it is asked for again.
type restoreKind struct{ engine }

func (restoreKind) Name() string              { return "rds.restore" }
func (restoreKind) Restart() recovery.Restart { return recovery.Continue }

func (k restoreKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	kind, ask, action := Instance, p.restoreInstance, "RestoreDBInstanceToPointInTime"
	switch {
	case p.Facts.Cluster && p.Facts.Snapshot != "":
		kind, ask, action = Cluster, p.restoreClusterSnapshot, "RestoreDBClusterFromSnapshot"
	case p.Facts.Cluster:
		kind, ask, action = Cluster, p.restoreCluster, "RestoreDBClusterToPointInTime"
	case p.Facts.Snapshot != "":
		ask, action = p.restoreSnapshot, "RestoreDBInstanceFromDBSnapshot"
	}
	again, err := k.once(ctx, env, p, kind, p.name(), action, ask)
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: fmt.Sprintf("RDS makes the %s %s, %s", kind, p.name(), p.Facts.Shape.says()),
		Facts: map[string]string{"made in RDS": p.name(), "region": p.region, "of": p.Facts.Source, "call": action, "cost": p.Facts.price()}}
	if p.Facts.Snapshot != "" {
		o.Facts["snapshot"] = p.Facts.Snapshot
	} else {
		o.Facts["asked for"] = provider.When(p.Facts.To)
	}
	if again {
		o.Remarks = append(o.Remarks, "an earlier attempt had asked for it; it was not asked for twice")
	}
	return o, nil
}

// Revive looks whether it is still there. What has left the run's hands, handed over or
// with the live one's name, is not asked about.
func (k restoreKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, _ recovery.Outcome, _ bool) error {
	p, err := openPlace(ctx, env, step)
	if err != nil || p.left(env) {
		return err
	}
	kind, name := Instance, p.name()
	switch {
	case p.Member:
		name = p.member()
	case p.Facts.Cluster:
		kind = Cluster
	}
	m, err := p.find(ctx, kind, name)
	if err != nil {
		return err
	}
	if m == nil || lost[m.status] || !m.ours(provider.Held(env, kind, name)) || tagged(m.tags, tagOf) != p.of() {
		return fmt.Errorf("the %s %s is not there any more: %w", kind, name, recovery.ErrGone)
	}
	return nil
}

// once asks for something that is there from then on, unless it is already: what an
// earlier attempt has asked for is found by its name and the tag of the claim. It reports
// whether it was.
func (k restoreKind) once(ctx context.Context, env recovery.Env, p place, kind recovery.ResourceKind, name, action string, ask func(context.Context, []types.Tag) error) (again bool, err error) {
	claim := provider.Held(env, kind, name)
	env.Meter().Phase("look whether it was asked for already", 0, recovery.NoUnit)
	m, err := p.find(ctx, kind, name)
	switch {
	case err != nil:
		return false, err
	case m != nil && !m.ours(claim):
		return false, provider.Refused("find out whose it is; if nobody needs it, delete it, then retry", "the %s %s is there, and this run has not made it", kind, name)
	case m != nil && !lost[m.status] && tagged(m.tags, tagOf) == p.of():
		return true, nil
	case m != nil:
		env.Meter().Phase("delete what an earlier attempt has made", 0, recovery.NoUnit)
		// A cluster cannot be deleted before its instance.
		if member := provider.Held(env, Instance, p.member()); kind == Cluster && member != nil {
			if err := k.release(ctx, p.service, *member); err != nil {
				return false, err
			}
		}
		if err := k.release(ctx, p.service, *claim); err != nil {
			return false, err
		}
	}
	if claim == nil {
		r := p.claim(kind, name)
		if err := env.Claim(ctx, r); err != nil {
			return false, err
		}
		claim = &r
	}
	env.Meter().Phase("ask RDS for it", 0, recovery.NoUnit)
	// A request that is cut off may be carried out all the same: its answer is waited for,
	// also where the run is stopped.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), provider.AnswersWithin)
	defer cancel()
	err = ask(within, p.tags(claim.Details["claim"]))
	if c := code(err); c == instanceExists || c == clusterExists {
		// The first try came through, and its answer did not.
		if m, errFind := p.find(ctx, kind, name); errFind == nil && m != nil && m.ours(claim) {
			return false, nil
		}
	}
	return false, p.refusal(ctx, action, name, err)
}

func (p place) restoreInstance(ctx context.Context, tags []types.Tag) error {
	s := p.Facts.Shape
	in := &rds.RestoreDBInstanceToPointInTimeInput{TargetDBInstanceIdentifier: aws.String(p.name()), RestoreTime: aws.Time(p.Facts.To.UTC()),
		DBInstanceClass: text(s.Class), DBParameterGroupName: text(s.Parameters), DBSubnetGroupName: text(s.SubnetGroup), VpcSecurityGroupIds: s.SecurityGroups, OptionGroupName: text(s.Options),
		LicenseModel: text(s.License), NetworkType: text(s.Network), CACertificateIdentifier: text(s.Authority), EnableCloudwatchLogsExports: s.Logs,
		StorageType: text(s.StorageType), Iops: s.iops(), StorageThroughput: s.throughput(), Port: number(s.Port), MultiAZ: aws.Bool(s.MultiAZ), PubliclyAccessible: aws.Bool(s.Public),
		EnableIAMDatabaseAuthentication: aws.Bool(s.IAM), CopyTagsToSnapshot: aws.Bool(s.CopyTags), AutoMinorVersionUpgrade: aws.Bool(s.MinorUpgrades), DeletionProtection: aws.Bool(false), Tags: tags}
	if p.Facts.Gone {
		in.SourceDbiResourceId = text(p.Facts.Resource)
	} else {
		in.SourceDBInstanceIdentifier = text(p.Facts.Source)
	}
	_, err := p.RestoreDBInstanceToPointInTime(ctx, in)
	return err
}

func (p place) restoreSnapshot(ctx context.Context, tags []types.Tag) error {
	s := p.Facts.Shape
	_, err := p.RestoreDBInstanceFromDBSnapshot(ctx, &rds.RestoreDBInstanceFromDBSnapshotInput{DBInstanceIdentifier: aws.String(p.name()), DBSnapshotIdentifier: text(p.Facts.Snapshot),
		DBInstanceClass: text(s.Class), DBParameterGroupName: text(s.Parameters), DBSubnetGroupName: text(s.SubnetGroup), VpcSecurityGroupIds: s.SecurityGroups, OptionGroupName: text(s.Options),
		LicenseModel: text(s.License), NetworkType: text(s.Network), CACertificateIdentifier: text(s.Authority), EnableCloudwatchLogsExports: s.Logs,
		StorageType: text(s.StorageType), Iops: s.iops(), StorageThroughput: s.throughput(), Port: number(s.Port), MultiAZ: aws.Bool(s.MultiAZ), PubliclyAccessible: aws.Bool(s.Public),
		EnableIAMDatabaseAuthentication: aws.Bool(s.IAM), CopyTagsToSnapshot: aws.Bool(s.CopyTags), AutoMinorVersionUpgrade: aws.Bool(s.MinorUpgrades), DeletionProtection: aws.Bool(false), Tags: tags})
	return err
}

// striped is from how many gibibytes on a volume of gp3 has IOPS and throughput that can be
// asked for; below it has those that every one has, which the service tells and refuses to
// be asked for.
const striped = 400

func (s shape) iops() *int32 {
	if s.StorageType == "gp3" && s.Storage < striped {
		return nil
	}
	return number(s.IOPS)
}

// throughput can be asked for together with IOPS.
func (s shape) throughput() *int32 {
	if s.StorageType != "gp3" || s.iops() == nil {
		return nil
	}
	return number(s.Throughput)
}

func (p place) restoreCluster(ctx context.Context, tags []types.Tag) error {
	s := p.Facts.Shape
	in := &rds.RestoreDBClusterToPointInTimeInput{DBClusterIdentifier: aws.String(p.name()), RestoreToTime: aws.Time(p.Facts.To.UTC()), RestoreType: aws.String("full-copy"),
		DBClusterParameterGroupName: text(s.ClusterParameters), DBSubnetGroupName: text(s.SubnetGroup), VpcSecurityGroupIds: s.SecurityGroups, NetworkType: text(s.Network), EnableCloudwatchLogsExports: s.Logs,
		KmsKeyId: text(s.Key), Port: number(s.Port), EnableIAMDatabaseAuthentication: aws.Bool(s.IAM), CopyTagsToSnapshot: aws.Bool(s.CopyTags), DeletionProtection: aws.Bool(false),
		ServerlessV2ScalingConfiguration: s.serverless(), DBClusterInstanceClass: text(s.ClusterClass), StorageType: text(s.StorageType), Tags: tags}
	if s.ClusterClass != "" {
		in.Iops = s.iops()
	}
	if p.Facts.Gone {
		in.SourceDbClusterResourceId = text(p.Facts.Resource)
	} else {
		in.SourceDBClusterIdentifier = text(p.Facts.Source)
	}
	_, err := p.RestoreDBClusterToPointInTime(ctx, in)
	return err
}

func (p place) restoreClusterSnapshot(ctx context.Context, tags []types.Tag) error {
	s := p.Facts.Shape
	in := &rds.RestoreDBClusterFromSnapshotInput{DBClusterIdentifier: aws.String(p.name()), SnapshotIdentifier: text(p.Facts.Snapshot), Engine: text(s.Engine), EngineVersion: text(s.Version),
		DBClusterParameterGroupName: text(s.ClusterParameters), DBSubnetGroupName: text(s.SubnetGroup), VpcSecurityGroupIds: s.SecurityGroups, NetworkType: text(s.Network), EnableCloudwatchLogsExports: s.Logs,
		KmsKeyId: text(s.Key), Port: number(s.Port), EnableIAMDatabaseAuthentication: aws.Bool(s.IAM), CopyTagsToSnapshot: aws.Bool(s.CopyTags), DeletionProtection: aws.Bool(false),
		ServerlessV2ScalingConfiguration: s.serverless(), DBClusterInstanceClass: text(s.ClusterClass), StorageType: text(s.StorageType), Tags: tags}
	if s.ClusterClass != "" {
		in.Iops = s.iops()
	}
	_, err := p.RestoreDBClusterFromSnapshot(ctx, in)
	return err
}

// serverless is what a cluster may grow to, where it does.
func (s shape) serverless() *types.ServerlessV2ScalingConfiguration {
	if s.MaxCapacity == 0 {
		return nil
	}
	return &types.ServerlessV2ScalingConfiguration{MinCapacity: aws.Float64(s.MinCapacity), MaxCapacity: aws.Float64(s.MaxCapacity)}
}

// memberKind asks for the instance of a cluster, through which it is reached.
type memberKind struct{ engine }

func (memberKind) Name() string              { return "rds.instance" }
func (memberKind) Restart() recovery.Restart { return recovery.Continue }

func (k memberKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	s := p.Facts.Shape
	if s.Class == "" {
		return recovery.Outcome{}, recovery.Errorf("write `class: db.r6g.large` into the component, then make a new plan", "the class of the instance of %s is not known", p.name()).WithExit(recovery.Usage)
	}
	again, err := restoreKind(k).once(ctx, env, p, Instance, p.member(), "CreateDBInstance", func(ctx context.Context, tags []types.Tag) error {
		_, err := p.CreateDBInstance(ctx, &rds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String(p.member()), DBClusterIdentifier: aws.String(p.name()), Engine: text(s.Engine), DBInstanceClass: text(s.Class),
			DBParameterGroupName: text(s.Parameters), PubliclyAccessible: aws.Bool(s.Public), CACertificateIdentifier: text(s.Authority), AutoMinorVersionUpgrade: aws.Bool(s.MinorUpgrades), Tags: tags})
		return err
	})
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: fmt.Sprintf("RDS makes the instance %s, %s", p.member(), s.Class), Facts: map[string]string{"made in RDS": p.member(), "class": s.Class}}
	if again {
		o.Remarks = append(o.Remarks, "an earlier attempt had asked for it; it was not asked for twice")
	}
	return o, nil
}

// Revive looks whether it is still there.
func (k memberKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, o recovery.Outcome, rebooted bool) error {
	return restoreKind(k).Revive(ctx, env, step, o, rebooted)
}
