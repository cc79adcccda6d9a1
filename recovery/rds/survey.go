package rds

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// Survey asks the service for the source, its automated backups and its snapshots. A
// source that is gone may have left some.
func (e engine) Survey(ctx context.Context, c recovery.Component, copy recovery.Copy, _ storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: copy.Name, Engine: Name, At: e.Now()}
	if only := c.Settings.Text("copy"); c.With != Name || only != "" && only != copy.Name {
		return s, nil
	}
	f := facts{Account: accountOf(c), Cost: c.Settings.Text("cost_per_hour"), Source: c.Settings.Text("instance")}
	if id := c.Settings.Text("cluster"); id != "" {
		if f.Source != "" {
			return s, recovery.Errorf("remove one of them", "the component %s names both an instance and a cluster", c.Name).WithExit(recovery.Usage)
		}
		f.Cluster, f.Source = true, id
	}
	if f.Source == "" {
		return s, recovery.Errorf("write `instance: IDENTIFIER` or `cluster: IDENTIFIER` into the component", "the component %s does not say which instance of RDS it is", c.Name).WithExit(recovery.Usage)
	}
	rds, err := f.Account.open(ctx, e.Expand)
	if err != nil {
		return s, err
	}
	f.Outwards = e.outwards(ctx, c)
	a := asked{service: rds, survey: &s, component: c, facts: f}
	if f.Cluster {
		err = a.cluster(ctx)
	} else {
		err = a.instance(ctx)
	}
	if err != nil {
		return s, fmt.Errorf("survey the backups of %s %s: %w", f.what(), f.Source, err)
	}
	slices.SortStableFunc(s.Backups, func(x, y recovery.Backup) int { return x.Taken.To.Compare(y.Taken.To) })
	return s, nil
}

// asked is a survey under way.
type asked struct {
	service
	survey    *recovery.Survey
	component recovery.Component
	facts     facts
	// earlier are the backups that an earlier one of the source's name has left.
	earlier []string
}

// instance asks for an instance and its backups.
func (a *asked) instance(ctx context.Context) error {
	found, err := a.findInstance(ctx, a.facts.Source)
	if err != nil {
		return err
	}
	if a.facts.Gone = found == nil; found != nil {
		a.facts.Shape, a.facts.Resource = instanceShape(*found), aws.ToString(found.DbiResourceId)
		if cluster := aws.ToString(found.DBClusterIdentifier); cluster != "" {
			return recovery.Errorf("write `cluster: "+cluster+"` instead", "%s is an instance of the cluster %s, which is restored as a whole", a.facts.Source, cluster).WithExit(recovery.Usage)
		}
	}
	backups := rds.NewDescribeDBInstanceAutomatedBackupsPaginator(a, &rds.DescribeDBInstanceAutomatedBackupsInput{DBInstanceIdentifier: &a.facts.Source})
	for backups.HasMorePages() {
		page, err := backups.NextPage(ctx)
		if err != nil {
			return a.refusal(ctx, "DescribeDBInstanceAutomatedBackups", a.facts.Source, err)
		}
		for _, b := range page.DBInstanceAutomatedBackups {
			w := window{id: aws.ToString(b.DbiResourceId), status: aws.ToString(b.Status), restore: b.RestoreWindow, shape: shape{Engine: aws.ToString(b.Engine), Version: aws.ToString(b.EngineVersion),
				Storage: aws.ToInt32(b.AllocatedStorage), StorageType: aws.ToString(b.StorageType), IOPS: aws.ToInt32(b.Iops), Throughput: aws.ToInt32(b.StorageThroughput), Port: aws.ToInt32(b.Port),
				Encrypted: aws.ToBool(b.Encrypted), Key: aws.ToString(b.KmsKeyId), Options: aws.ToString(b.OptionGroupName), License: aws.ToString(b.LicenseModel),
				IAM: aws.ToBool(b.IAMDatabaseAuthenticationEnabled), Tags: tagsOf(b.TagList), User: aws.ToString(b.MasterUsername)}}
			if found != nil {
				w.latest = found.LatestRestorableTime
			}
			a.window(w)
		}
	}
	snapshots := rds.NewDescribeDBSnapshotsPaginator(a, &rds.DescribeDBSnapshotsInput{DBInstanceIdentifier: &a.facts.Source})
	for snapshots.HasMorePages() {
		page, err := snapshots.NextPage(ctx)
		if err != nil {
			return a.refusal(ctx, "DescribeDBSnapshots", a.facts.Source, err)
		}
		for _, b := range page.DBSnapshots {
			a.snapshot(snapshot{id: aws.ToString(b.DBSnapshotIdentifier), resource: aws.ToString(b.DbiResourceId), typ: aws.ToString(b.SnapshotType), status: aws.ToString(b.Status),
				taken: b.SnapshotCreateTime, size: aws.ToInt64(b.FullSnapshotSizeInBytes), shape: shape{Engine: aws.ToString(b.Engine), Version: aws.ToString(b.EngineVersion),
					Storage: aws.ToInt32(b.AllocatedStorage), StorageType: aws.ToString(b.StorageType), IOPS: aws.ToInt32(b.Iops), Throughput: aws.ToInt32(b.StorageThroughput), Port: aws.ToInt32(b.Port),
					Encrypted: aws.ToBool(b.Encrypted), Key: aws.ToString(b.KmsKeyId), Options: aws.ToString(b.OptionGroupName), License: aws.ToString(b.LicenseModel),
					IAM: aws.ToBool(b.IAMDatabaseAuthenticationEnabled), Tags: tagsOf(b.TagList), User: aws.ToString(b.MasterUsername)}})
		}
	}
	return a.nothing()
}

// cluster asks for a cluster and its backups.
func (a *asked) cluster(ctx context.Context) error {
	found, err := a.findCluster(ctx, a.facts.Source)
	if err != nil {
		return err
	}
	if a.facts.Gone = found == nil; found != nil {
		writer, err := a.writer(ctx, *found)
		if err != nil {
			return err
		}
		a.facts.Shape, a.facts.Resource = clusterShape(*found, writer), aws.ToString(found.DbClusterResourceId)
		a.window(window{id: a.facts.Resource, status: "active", latest: found.LatestRestorableTime,
			restore: &types.RestoreWindow{EarliestTime: found.EarliestRestorableTime, LatestTime: found.LatestRestorableTime}})
	}
	backups := rds.NewDescribeDBClusterAutomatedBackupsPaginator(a, &rds.DescribeDBClusterAutomatedBackupsInput{DBClusterIdentifier: &a.facts.Source})
	for backups.HasMorePages() {
		page, err := backups.NextPage(ctx)
		if err != nil {
			return a.refusal(ctx, "DescribeDBClusterAutomatedBackups", a.facts.Source, err)
		}
		for _, b := range page.DBClusterAutomatedBackups {
			if id := aws.ToString(b.DbClusterResourceId); id != a.facts.Resource {
				a.window(window{id: id, status: aws.ToString(b.Status), restore: b.RestoreWindow, shape: shape{Engine: aws.ToString(b.Engine), Version: aws.ToString(b.EngineVersion), Port: aws.ToInt32(b.Port),
					StorageType: aws.ToString(b.StorageType), Encrypted: aws.ToBool(b.StorageEncrypted), Key: aws.ToString(b.KmsKeyId), IAM: aws.ToBool(b.IAMDatabaseAuthenticationEnabled),
					Tags: tagsOf(b.TagList), User: aws.ToString(b.MasterUsername)}})
			}
		}
	}
	snapshots := rds.NewDescribeDBClusterSnapshotsPaginator(a, &rds.DescribeDBClusterSnapshotsInput{DBClusterIdentifier: &a.facts.Source})
	for snapshots.HasMorePages() {
		page, err := snapshots.NextPage(ctx)
		if err != nil {
			return a.refusal(ctx, "DescribeDBClusterSnapshots", a.facts.Source, err)
		}
		for _, b := range page.DBClusterSnapshots {
			a.snapshot(snapshot{id: aws.ToString(b.DBClusterSnapshotIdentifier), resource: aws.ToString(b.DbClusterResourceId), typ: aws.ToString(b.SnapshotType), status: aws.ToString(b.Status),
				taken: b.SnapshotCreateTime, shape: shape{Engine: aws.ToString(b.Engine), Version: aws.ToString(b.EngineVersion), Port: aws.ToInt32(b.Port),
					StorageType: aws.ToString(b.StorageType), Encrypted: aws.ToBool(b.StorageEncrypted), Key: aws.ToString(b.KmsKeyId), IAM: aws.ToBool(b.IAMDatabaseAuthenticationEnabled),
					Tags: tagsOf(b.TagList), User: aws.ToString(b.MasterUsername)}})
		}
	}
	return a.nothing()
}

// nothing refuses a source that the service has never heard of.
func (a *asked) nothing() error {
	if len(a.earlier) > 0 {
		a.survey.Findings = append(a.survey.Findings, recovery.Finding{Object: a.facts.Source,
			Says: fmt.Sprintf("%s are of an earlier %s of that name; their class, networks and parameters are not kept, and are taken from the one of today", strings.Join(a.earlier, ", "), a.facts.what()),
			Do:   "set class, subnet_group, security_groups and parameter_group of the component where it was made otherwise"})
	}
	if a.facts.Cost == "" && slices.ContainsFunc(a.survey.Backups, func(b recovery.Backup) bool { return b.Problem == "" }) {
		a.survey.Findings = append(a.survey.Findings, recovery.Finding{Object: a.facts.Source,
			Says: fmt.Sprintf("cost_per_hour of %s is not set: each restore makes a new %s of RDS, and no plan says what it costs", a.survey.Component, a.facts.what()),
			Do:   "write what an hour of it costs into the component, as `cost_per_hour: \"0.29 USD\"`: comeback knows no prices"})
	}
	if !a.facts.Gone || len(a.survey.Backups) > 0 {
		if a.facts.Gone {
			a.survey.Findings = append(a.survey.Findings, recovery.Finding{Object: a.facts.Source, Says: fmt.Sprintf("the %s %s is gone; what it has left can be restored", a.facts.what(), a.facts.Source),
				Do: "set class, subnet_group, security_groups and parameter_group of the component: the service does not keep them"})
		}
		return nil
	}
	key := "instance"
	if a.facts.Cluster {
		key = "cluster"
	}
	return recovery.Errorf(fmt.Sprintf("check `%s:`, `region:` and the account of the component", key), "RDS in %s knows no %s %s, and no backup of one", a.region, a.facts.what(), a.facts.Source).WithExit(recovery.Usage)
}

// window is what the service says of automated backups.
type window struct {
	id, status string
	restore    *types.RestoreWindow
	latest     *time.Time
	shape      shape
}

// window adds the moments of automated backups, which are whole seconds: the service
// restores to before the window's end, and not to it.
func (a *asked) window(w window) {
	f := a.facts
	f.Moves = w.status == "active" && !f.Gone && w.id == f.Resource
	if !f.Moves {
		a.left(&f, "automated-"+w.id, w.id, w.shape)
	}
	f.Shape = f.Shape.with(a.component)
	b := recovery.Backup{ID: "automated-" + w.id, Component: a.survey.Component, Copy: a.survey.Copy, Engine: Name, Form: "automated backups of RDS, to the second", Elsewhere: true,
		Details: map[string]string{f.what(): f.Source, "engine": f.Shape.Engine + " " + f.Shape.Version, "restored as": f.Shape.says()}}
	var from, to time.Time
	if w.restore != nil {
		from, to = aws.ToTime(w.restore.EarliestTime).UTC(), aws.ToTime(w.restore.LatestTime).UTC()
	}
	if f.Moves && w.latest != nil && w.latest.After(to) {
		to = w.latest.UTC()
	}
	from, to = from.Add(time.Second-1).Truncate(time.Second), to.Add(-1).Truncate(time.Second)
	switch {
	case w.restore == nil || w.restore.EarliestTime == nil || w.restore.LatestTime == nil:
		b.Problem = "the first backup is not taken yet (" + w.status + ")"
	case to.Before(from):
		b.Problem = "its window is empty (" + w.status + ")"
	default:
		a.survey.Windows = append(a.survey.Windows, recovery.Window{Component: b.Component, Copy: b.Copy, Engine: Name, Backup: b.ID, From: recovery.Instant{Time: from}, To: recovery.Instant{Time: to}, Final: !f.Moves})
		b.Taken, f.To = recovery.Span{From: to, To: to}, to
	}
	b.Facts = provider.Encode(f)
	a.survey.Backups = append(a.survey.Backups, b)
}

// left makes the facts of a backup those of what it is of, which is not there any more. What
// the service does not keep of that is taken from what has its name now, if anything has.
func (a *asked) left(f *facts, backup, resource string, kept shape) {
	if !a.facts.Gone && resource != a.facts.Resource {
		kept = kept.like(a.facts.Shape)
		a.earlier = append(a.earlier, backup)
		f.Namesake = true
	}
	f.Shape, f.Resource, f.Gone = kept, resource, true
}

// snapshot is what the service says of one.
type snapshot struct {
	id, resource, typ, status string
	taken                     *time.Time
	size                      int64
	shape                     shape
}

func (a *asked) snapshot(n snapshot) {
	f := a.facts
	f.Snapshot = n.id
	if f.Gone || n.resource != f.Resource {
		a.left(&f, n.id, n.resource, n.shape)
	} else {
		f.Shape = f.Shape.then(n.shape)
	}
	f.Shape = f.Shape.with(a.component)
	taken := aws.ToTime(n.taken).UTC()
	b := recovery.Backup{ID: n.id, Component: a.survey.Component, Copy: a.survey.Copy, Engine: Name, Form: n.typ + " snapshot of RDS", Elsewhere: true, Facts: provider.Encode(f),
		Taken: recovery.Span{From: taken, To: taken}, Details: map[string]string{f.what(): f.Source, "engine": f.Shape.Engine + " " + f.Shape.Version, "restored as": f.Shape.says()}}
	if n.size > 0 {
		b.Objects = []storage.Object{{Key: n.id, Size: n.size}}
	}
	if n.status != "available" || n.taken == nil {
		b.Problem = "it is " + n.status
	}
	a.survey.Backups = append(a.survey.Backups, b)
}

// findInstance asks for an instance; nil where the service says that there is none.
func (s service) findInstance(ctx context.Context, id string) (*types.DBInstance, error) {
	out, err := s.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.refusal(ctx, "DescribeDBInstances", id, err)
	}
	if len(out.DBInstances) != 1 {
		return nil, recovery.Errorf("check the endpoint of the component", "RDS in %s answers with %d instances for %s", s.region, len(out.DBInstances), id)
	}
	return &out.DBInstances[0], nil
}

// findCluster asks for a cluster; nil where the service says that there is none.
func (s service) findCluster(ctx context.Context, id string) (*types.DBCluster, error) {
	out, err := s.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &id})
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.refusal(ctx, "DescribeDBClusters", id, err)
	}
	if len(out.DBClusters) != 1 {
		return nil, recovery.Errorf("check the endpoint of the component", "RDS in %s answers with %d clusters for %s", s.region, len(out.DBClusters), id)
	}
	return &out.DBClusters[0], nil
}

// writer is the instance of a cluster that writes; nil where it has none.
func (s service) writer(ctx context.Context, c types.DBCluster) (*types.DBInstance, error) {
	for _, m := range c.DBClusterMembers {
		if aws.ToBool(m.IsClusterWriter) {
			return s.findInstance(ctx, aws.ToString(m.DBInstanceIdentifier))
		}
	}
	return nil, nil
}

// readersOf are the instances of a cluster that do not write.
func readersOf(c types.DBCluster) (ids []string) {
	for _, m := range c.DBClusterMembers {
		if !aws.ToBool(m.IsClusterWriter) {
			ids = append(ids, aws.ToString(m.DBInstanceIdentifier))
		}
	}
	return ids
}

// anewReaders is what is left to do where a cluster had readers: one instance is restored.
func anewReaders(cluster string, readers []string) string {
	return fmt.Sprintf("make readers of the cluster %s anew: the source had %s", cluster, strings.Join(readers, ", "))
}
