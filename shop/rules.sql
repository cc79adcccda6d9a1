-- What makes the rows a shop: indexes, foreign keys, a view, a function with
-- all that a dump must quote, and a trigger.
create unique index customers_email on customers (lower(email));
create unique index products_sku on products (sku);
create unique index orders_invoice on orders (invoice);
create index orders_by_customer on orders (customer_id, placed_at desc);
create index orders_by_time on orders (placed_at);
create index orders_open on orders (id) where status = 'placed';
create index order_items_by_product on order_items (product_id);
create index carts_by_time on carts (touched_at);
create index products_by_attribute on products using gin (attributes);

alter table orders add foreign key (customer_id) references customers;
alter table order_items add foreign key (order_id) references orders;
alter table order_items add foreign key (product_id) references products;
alter table carts add foreign key (customer_id) references customers on delete cascade;
alter table sessions add foreign key (customer_id) references customers on delete cascade;
alter table uploads add foreign key (customer_id) references customers;

create view daily_sales as
	select (placed_at at time zone 'UTC')::date as day, count(*) as orders, sum(total_cents) as cents
	from orders group by 1;

create function order_total(wanted bigint) returns bigint language plpgsql stable as $body$
declare
	total bigint;
begin
	-- A semicolon; a 'quote'; a $dollar$; a back\slash: none of it ends this.
	select coalesce(sum(quantity * price_cents), 0) into total from order_items where order_id = wanted;
	return total;
end
$body$;

create function order_items_added() returns trigger language plpgsql as $$
begin
	update orders set total_cents = order_total(id) where id in (select order_id from added);
	return null;
end
$$;

create trigger order_items_added after insert on order_items
	referencing new table as added for each statement execute function order_items_added();

comment on table orders is 'what people bought; the shop''s memory';
analyze;
