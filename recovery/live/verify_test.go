package live_test

import (
	"os"
	"testing"

	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// of every kind that majors record in another way.
const everyObject = `
create table plain (id int primary key, a text not null, b int not null check (b > 0));
create table orders (id int not null, at date not null, ref int references plain, primary key (id, at)) partition by range (at);
create table orders_1 partition of orders for values from ('2020-01-01') to ('2021-01-01');
create table orders_2 partition of orders for values from ('2021-01-01') to ('2022-01-01');
create table lines (o int, at date, foreign key (o, at) references orders);
create table tree (id int not null, parent int, p int not null, primary key (id, p), foreign key (parent, p) references tree) partition by list (p);
create table tree_1 partition of tree for values in (1);
create function seen() returns trigger language plpgsql as 'begin return new; end';
create trigger seen after insert on orders for each row execute function seen();
create trigger also after insert on plain for each row execute function seen();
create constraint trigger late after insert on plain deferrable initially deferred for each row execute function seen();
create table child (c int not null) inherits (plain);
insert into plain values (1, 'a', 1);
insert into orders values (1, '2020-06-01', 1)`

// oldest is the oldest PostgreSQL of this host that is not newer than another.
func oldest(than postgres.Tools) postgres.Tools {
	found := postgres.HostFinder(func(name string) string {
		if name == "COMEBACK_PG_BIN" {
			return "" // it names one alone
		}
		return os.Getenv(name)
	}).Installed()
	for _, tools := range found {
		if tools.Major < than.Major {
			than = tools
		}
	}
	return than
}

// What was restored with an older major is loaded into a newer one.
func TestLoad_olderMajor(t *testing.T) {
	p := &place{Shop: openShop(t), dir: scratchDir(t)}
	older := oldest(p.Tools)
	p.scratch = scratchServer(t, p.dir, p.Owner, older)
	run(t, connect(t, p.scratch.URL("postgres")), "create database shop template template0 encoding 'UTF8' locale 'C.UTF-8'")
	restored := connect(t, p.scratch.URL("shop"))
	run(t, restored, everyObject)
	const want = "constraints 9, indexes 4, large objects 0, partitioned indexes 2, partitioned tables 2, triggers 3"
	count := "select string_agg(kind || ' ' || n, ', ' order by kind) from (" + live.Objects + ") o (kind, n)"
	if has := text(t, restored, count); has != want {
		t.Errorf("counted %s, want %s", has, want)
	}
	from := p.source()
	from.Tools = older
	loaded, err := p.database(t).Load(within(t), &env{}, from)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Rows != 2 {
		t.Errorf("%d rows were loaded, want 2", loaded.Rows)
	}
	if has := text(t, connect(t, p.Layout.URL("postgres", loaded.Database.Name)), count); has != want {
		t.Errorf("counted %s in what was loaded, want %s", has, want)
	}
}
