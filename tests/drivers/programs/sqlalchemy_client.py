# SQLAlchemy: Core and ORM over psycopg2, reflection; keys are the client's (UUIDs).
import decimal
import uuid

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID, insert
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, selectinload
from common import check, end, show

Base = declarative_base()


class Customer(Base):
    __tablename__ = "customer"
    account_id = sa.Column(UUID(as_uuid=True), primary_key=True)
    name = sa.Column(sa.String(40), nullable=False, index=True)
    tags = sa.Column(ARRAY(sa.Text))
    data = sa.Column(JSONB)
    version = sa.Column(sa.Integer, nullable=False)
    orders = relationship("Order", back_populates="customer", cascade="all, delete-orphan", order_by="Order.number")
    __mapper_args__ = {"version_id_col": version}


class Order(Base):
    __tablename__ = "order_of"
    account_id = sa.Column(UUID(as_uuid=True), sa.ForeignKey("customer.account_id", ondelete="CASCADE"), primary_key=True)
    number = sa.Column(sa.Integer, primary_key=True)
    total = sa.Column(sa.Numeric(12, 2), nullable=False)
    paid = sa.Column(sa.Boolean, server_default=sa.false())
    customer = relationship("Customer", back_populates="orders")


class Log(Base):
    __tablename__ = "log"
    number = sa.Column(sa.Integer, primary_key=True)  # a sequence: on the home shard
    text = sa.Column(sa.Text)


engine = sa.create_engine("postgresql+psycopg2://")
check("create")
Base.metadata.create_all(engine)
Base.metadata.create_all(engine)
check("reflection")
inspector = sa.inspect(engine)
for table in sorted(inspector.get_table_names()):
    show((table, [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)], inspector.get_pk_constraint(table), inspector.get_foreign_keys(table), inspector.get_indexes(table), inspector.get_unique_constraints(table), inspector.get_check_constraints(table)))
show((inspector.get_schema_names(), inspector.get_enums(), inspector.get_view_names()))
show(sorted(sa.MetaData(bind=None).tables) or sorted(t.name for t in (lambda m: (m.reflect(engine), m)[1])(sa.MetaData()).sorted_tables))
check("insert")
ids = [uuid.uuid5(uuid.NAMESPACE_DNS, str(n)) for n in range(20)]
with Session(engine) as s:
    for n, i in enumerate(ids):
        s.add(Customer(account_id=i, name="customer %02d" % n, tags=["a", str(n)], data={"n": n, "x": None}, orders=[Order(number=k, total=decimal.Decimal(n * k)) for k in range(1, 4)]))
    s.add_all([Log(text="one"), Log(text=None)])
    s.commit()
with Session(engine) as s:
    show([(g.number, g.text) for g in s.query(Log).order_by(Log.number)])
    check("get and filter")
    c = s.get(Customer, ids[3])
    show((c.name, c.tags, c.data, c.version, [(o.number, o.total, o.paid) for o in c.orders]))
    show([c.name for c in s.query(Customer).filter(Customer.name.like("%1%")).order_by(Customer.name)])
    show(s.query(sa.func.count(Customer.account_id), sa.func.max(Customer.name)).all())
    show([c.name for c in s.query(Customer).filter(Customer.account_id.in_(ids[:3])).order_by(Customer.name)])
    show([c.name for c in s.query(Customer).order_by(Customer.name.desc()).limit(3).offset(2)])
    show([c.name for c in s.query(Customer).filter(Customer.data["n"].astext.cast(sa.Integer) > 16).order_by(Customer.name)])
    check("joins and loading")
    show([(c.name, o.number) for c, o in s.query(Customer, Order).join(Order).filter(Order.total > 50).order_by(Customer.name, Order.number)])
    show([(c.name, len(c.orders)) for c in s.query(Customer).options(joinedload(Customer.orders)).order_by(Customer.name)])
with Session(engine) as s:
    show([(c.name, len(c.orders)) for c in s.query(Customer).options(selectinload(Customer.orders)).order_by(Customer.name)])
    show(s.execute(sa.select(Customer.name, sa.func.sum(Order.total)).join(Order).group_by(Customer.name).having(sa.func.sum(Order.total) > 60).order_by(Customer.name)).all())
    show(s.execute(sa.select(Customer.name, sa.func.rank().over(order_by=Customer.name)).order_by(sa.desc(Customer.name)).limit(3)).all())
    show(s.query(Customer).filter(Customer.orders.any(Order.total == 57)).count())
check("update and versions")
with Session(engine) as s, Session(engine) as other:
    c, d = s.get(Customer, ids[0]), other.get(Customer, ids[0])
    c.name = "changed"
    c.orders[0].total = 5
    s.commit()
    d.name = "too late"
    try:
        other.commit()
    except sa.orm.exc.StaleDataError as e:
        show(type(e).__name__)
        other.rollback()
    show((s.get(Customer, ids[0]).name, s.get(Customer, ids[0]).version))
    show(s.query(Order).filter(Order.number == 2).update({"paid": True}, synchronize_session=False))
    show(s.query(Order).filter(Order.paid).count())
    s.rollback()
check("transactions, savepoints, errors")
with Session(engine) as s:
    s.add(Customer(account_id=uuid.UUID(int=1), name="x"))
    try:
        with s.begin_nested():
            s.add(Customer(account_id=ids[5], name="twice"))
            s.flush()
    except sa.exc.IntegrityError as e:
        show((e.orig.pgcode, e.orig.diag.constraint_name))
    s.commit()
    show(s.query(Customer).count())
for sql in ("SELECT 1/0", "SELECT * FROM nowhere"):
    try:
        with engine.connect() as c:
            c.execute(sa.text(sql))
    except sa.exc.DBAPIError as e:
        show((type(e).__name__, e.orig.pgcode))
check("upsert and bulk")
with engine.begin() as c:
    stmt = insert(Customer.__table__).values(account_id=ids[1], name="upserted", version=1)
    c.execute(stmt.on_conflict_do_update(index_elements=["account_id"], set_={"name": stmt.excluded.name}))
    c.execute(Order.__table__.insert(), [{"account_id": i, "number": 10, "total": 1} for i in ids])
    several = Order.__table__.insert().values([{"account_id": i, "number": 20, "total": n} for n, i in enumerate(reversed(ids))])
    show([tuple(r) for r in c.execute(several.returning(Order.total, Order.number))])
    show(c.execute(sa.delete(Order).where(Order.number == 20)).rowcount)
    show(c.execute(sa.select(Customer.name).where(Customer.account_id == ids[1])).scalar())
    show(c.execute(sa.update(Order).where(Order.number == 10).values(total=2)).rowcount)
check("stream")
with engine.connect() as c:
    r = c.execution_options(stream_results=True, max_row_buffer=7).execute(sa.select(Order.number, Order.total).order_by(Order.number, Order.total))
    show([tuple(x) for x in r])
check("isolation")
with engine.connect().execution_options(isolation_level="REPEATABLE READ") as c:
    show(c.execute(sa.text("SHOW transaction_isolation")).scalar())
    show(c.execute(sa.select(sa.func.count()).select_from(Order)).scalar())
check("delete")
with Session(engine) as s:
    s.delete(s.get(Customer, ids[2]))
    s.commit()
    show((s.query(Customer).count(), s.query(Order).count()))
    show(s.query(Order).filter(Order.number == 3).delete(synchronize_session=False))
    s.commit()
Base.metadata.drop_all(engine)
show(sorted(sa.inspect(engine).get_table_names()))
end()
