# Django: migrations of its contributed applications and of one with two models in a module made here, the ORM over them.
import datetime as dt
import decimal
import os
import sys
import threading
import types
import uuid

import django
from common import check, end, show
from django.conf import settings

D = decimal.Decimal
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"], "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
                           "OPTIONS": {"sslmode": "disable"}}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"],
    USE_TZ=True, TIME_ZONE="UTC", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", SECRET_KEY="x", MIGRATION_MODULES={"shop": None},
)
shop = types.ModuleType("shop")
shop.__path__ = [os.path.dirname(os.path.abspath(__file__))]
sys.modules["shop"] = shop
django.setup()

from django.core.management import call_command
from django.db import DatabaseError, DataError, IntegrityError, connection, migrations, models, transaction
from django.db.models import Avg, Case, Count, Exists, F, Max, Min, OuterRef, Prefetch, Q, Subquery, Sum, Value, When, Window
from django.db.models.functions import Coalesce, Lower, Rank, TruncMonth


class Account(models.Model):
    uid = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=40)
    email = models.EmailField(null=True)
    balance = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    joined = models.DateField()
    seen = models.DateTimeField(null=True)
    active = models.BooleanField(default=True)
    data = models.JSONField(default=dict)
    blob = models.BinaryField(null=True)

    class Meta:
        app_label = "shop"
        db_table = "shop_account"
        constraints = [models.CheckConstraint(check=Q(balance__gte=0), name="not_negative")]
        indexes = [models.Index(fields=["name"], name="by_name")]


class Order(models.Model):
    uid = models.UUIDField(primary_key=True)
    account = models.ForeignKey(Account, models.CASCADE, related_name="orders", db_constraint=False)
    item = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    at = models.DateTimeField()

    class Meta:
        app_label = "shop"
        db_table = "shop_order"


def created(model, *without):
    fields = [(f.name, f.clone()) for f in model._meta.local_fields if f.name not in without]
    return migrations.CreateModel(model.__name__, fields, options={"db_table": model._meta.db_table})


def migration(name, before, *operations):
    return type("Migration", (migrations.Migration,), {"initial": not before, "dependencies": [("shop", b) for b in before], "operations": list(operations)})(name, "shop")


steps = [
    migration("0001_initial", [], created(Account, "data"), created(Order)),
    migration("0002_more", ["0001_initial"], migrations.AddField("Account", "data", models.JSONField(default=dict)), migrations.AddIndex("Account", models.Index(fields=["name"], name="by_name")),
              migrations.AddConstraint("Account", models.CheckConstraint(check=Q(balance__gte=0), name="not_negative"))),
    migration("0003_rename", ["0002_more"], migrations.AddField("Order", "note", models.CharField(max_length=10, null=True)), migrations.RenameField("Order", "note", "remark"),
              migrations.AlterField("Order", "remark", models.TextField(null=True)), migrations.RemoveField("Order", "remark")),
]


def key(n):
    return uuid.UUID(int=n * 0x1234567890ABCDEF1234567)


def fails(run):
    try:
        with transaction.atomic():
            run()
        print("no error")
    except DatabaseError as e:
        print(type(e).__name__, e.__cause__.pgcode, str(e).splitlines()[0])


check("migrate")
call_command("migrate", verbosity=0, run_syncdb=False)
show(sorted(connection.introspection.table_names()))
check("migrations of the application")
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState
state = ProjectState()
for step in steps:
    with connection.schema_editor(atomic=step.atomic) as editor:
        state = step.apply(state, editor)
with connection.cursor() as c:
    for table in ("shop_account", "shop_order"):
        show([(d.name, d.type_code, d.null_ok) for d in connection.introspection.get_table_description(c, table)])
        show(sorted((k, v["columns"], v["primary_key"], v["unique"], v["check"]) for k, v in connection.introspection.get_constraints(c, table).items() if not k.startswith("pgbraid")))
check("create")
for n in range(1, 13):
    Account.objects.create(uid=key(n), name="account %d" % n, email=None if n % 3 == 0 else "a%d@example.org" % n, balance=D(n) * 10, joined=dt.date(2024, 1, n), seen=dt.datetime(2024, 2, n, 3, 4, 5, 678901, dt.timezone.utc) if n % 2 else None,
                           active=n % 4 != 0, data={"n": n, "tags": ["x", str(n)]}, blob=bytes([n, 0, 255]))
Order.objects.bulk_create([Order(uid=key(100 + n), account_id=key(n % 12 + 1), item="item %d" % (n % 5), price=D(n) / 4, at=dt.datetime(2024, 3, 1, tzinfo=dt.timezone.utc) + dt.timedelta(days=n)) for n in range(60)])
show((Account.objects.count(), Order.objects.count()))
check("read")
a = Account.objects.get(pk=key(3))
show((a.name, a.email, a.balance, a.joined, a.seen, a.active, a.data, bytes(a.blob)))
show(list(Account.objects.order_by("name").values_list("name", "balance", "seen")))
show(list(Account.objects.filter(Q(balance__gt=50) | Q(email__isnull=True), active=True).exclude(name__endswith="7").order_by("pk").values_list("name", flat=True)))
show(list(Account.objects.filter(pk__in=[key(1), key(5), key(77)]).order_by("name").values_list("name", flat=True)))
show(list(Account.objects.filter(data__tags__contains=["4"]).values_list("name", "data__n")))
show(list(Account.objects.annotate(l=Lower("name")).filter(l__icontains="T 1").order_by("l")[1:3].values_list("l", flat=True)))
check("get or create, update or create")
show(Account.objects.get_or_create(pk=key(3), defaults={"name": "never", "joined": dt.date(2024, 1, 1)})[1])
show(Account.objects.get_or_create(pk=key(50), defaults={"name": "made", "joined": dt.date(2024, 1, 1)})[1])
show(Account.objects.update_or_create(pk=key(50), defaults={"name": "changed"})[1])
try:
    Account.objects.get(pk=key(999))
except Account.DoesNotExist as e:
    show(str(e))
check("aggregates")
show(Account.objects.aggregate(Sum("balance"), Avg("balance"), Min("joined"), Max("seen"), n=Count("email")))
show(list(Order.objects.values("item").annotate(n=Count("pk"), s=Sum("price")).order_by("item")))
show(list(Order.objects.annotate(m=TruncMonth("at")).values("m").annotate(n=Count("pk")).order_by("m").values_list("m", "n")))
show(list(Account.objects.annotate(n=Count("orders"), s=Coalesce(Sum("orders__price"), Value(D(0)))).filter(n__gt=0).order_by("name").values_list("name", "n", "s")))
show(Order.objects.aggregate(n=Count("account", distinct=True)))
check("joins")
show([(o.item, o.account.name) for o in Order.objects.select_related("account").filter(price__lt=2).order_by("price")])
show([(x.name, sorted(o.item for o in x.orders.all())) for x in Account.objects.prefetch_related("orders").filter(balance__lte=30).order_by("name")])
show([(x.name, len(x.cheap)) for x in Account.objects.prefetch_related(Prefetch("orders", Order.objects.filter(price__lt=5), to_attr="cheap")).order_by("name")[:4]])
show(list(Order.objects.filter(account__balance__gte=100).order_by("price").values_list("account__name", "price")))
check("sub-queries")
show(list(Account.objects.annotate(last=Subquery(Order.objects.filter(account=OuterRef("pk")).order_by("-at").values("item")[:1])).order_by("name").values_list("name", "last")))
show(list(Account.objects.filter(Exists(Order.objects.filter(account=OuterRef("pk"), price__gt=14))).order_by("name").values_list("name", flat=True)))
show(Account.objects.filter(pk__in=Order.objects.filter(item="item 1").values("account")).count())
check("windows, unions")
show(list(Order.objects.annotate(r=Window(Rank(), partition_by=[F("item")], order_by=F("price").desc())).order_by("item", "r").values_list("item", "price", "r")[:12]))
show(sorted(Account.objects.values_list("name").union(Order.objects.values_list("item"))))
show(list(Account.objects.values_list("active", flat=True).distinct().order_by("active")))
check("update")
show(Account.objects.filter(pk=key(1)).update(balance=F("balance") + 5))
show(Account.objects.filter(active=False).update(name=Case(When(balance__gt=50, then=Value("rich")), default=Value("poor"))))
a = Account.objects.get(pk=key(2))
a.balance -= 1
a.data["more"] = None
a.save(update_fields=["balance", "data"])
a.refresh_from_db()
show((a.balance, a.data))
changed = list(Account.objects.filter(balance__lt=40))
for x in changed:
    x.name = x.name.upper()
show(Account.objects.bulk_update(changed, ["name"]))
show(list(Account.objects.order_by("joined", "pk").values_list("name", "balance")))
check("errors")
fails(lambda: Account.objects.create(pk=key(1), name="twice", joined=dt.date(2024, 1, 1)))
fails(lambda: Account.objects.filter(pk=key(1)).update(balance=-1))
fails(lambda: Account.objects.create(pk=key(60), name=None, joined=dt.date(2024, 1, 1)))
fails(lambda: Account.objects.create(pk=key(60), name="x" * 50, joined=dt.date(2024, 1, 1)))
fails(lambda: Account.objects.raw("SELECT * FROM nowhere")[0])
check("transactions and savepoints")
with transaction.atomic():
    Account.objects.filter(pk=key(1)).update(name="in")
    try:
        with transaction.atomic():
            Account.objects.filter(pk=key(5)).update(name="inner")
            raise ValueError
    except ValueError:
        pass
    transaction.on_commit(lambda: print("committed"))
show(list(Account.objects.filter(pk__in=[key(1), key(5)]).order_by("balance").values_list("name", flat=True)))
try:
    with transaction.atomic():
        Account.objects.all().update(active=False)
        raise ValueError
except ValueError:
    show(Account.objects.filter(active=True).count())
check("select for update")
with transaction.atomic():
    show(Account.objects.select_for_update().get(pk=key(4)).name)
    show(sorted(x.name for x in Account.objects.select_for_update(skip_locked=True).filter(balance__gt=100)))
check("server-side cursors")
show(sum(o.price for o in Order.objects.iterator(chunk_size=7)))
show([o.item for o in Order.objects.filter(account=key(3)).order_by("at").iterator(chunk_size=2)])
check("raw SQL and COPY")
with connection.cursor() as c:
    c.execute("SELECT name, %s FROM shop_account WHERE uid = %s", ["ä", key(3)])
    show(c.fetchall())
    c.executemany("UPDATE shop_order SET item = %s WHERE uid = %s", [("changed %d" % n, key(100 + n)) for n in range(5)])
    c.execute("SELECT item FROM shop_order WHERE item LIKE 'changed%%' ORDER BY 1")
    show(c.fetchall())
check("users")
from django.contrib.auth.models import Group, User
u = User.objects.create_user("ann", "ann@example.org", None)
u.groups.add(Group.objects.create(name="staff"))
show(list(User.objects.filter(groups__name="staff").values_list("username", flat=True)))
from django.contrib.contenttypes.models import ContentType
show(ContentType.objects.get_for_model(Account).model)
check("delete")
show(Order.objects.filter(account=key(1)).delete())
show(Account.objects.filter(pk=key(2)).delete())
show(Order.objects.filter(price__gt=10).delete())
show((Account.objects.count(), Order.objects.count()))
check("cancel")
timer = threading.Timer(0.3, connection.connection.cancel)
timer.start()
try:
    with connection.cursor() as c:
        c.execute("SELECT uid, pg_sleep(60) FROM shop_account")
except django.db.OperationalError as e:
    show((type(e).__name__, e.__cause__.pgcode))
timer.join()
show(Account.objects.count())
check("concurrency")
Account.objects.update(balance=100)
faults = []


def work(k):
    try:
        for n in range(15):
            pair = sorted((key(3 + (n + k) % 5), key(3 + (n + 2 * k + 1) % 5)))
            while True:
                try:
                    with transaction.atomic():
                        Account.objects.filter(pk=pair[0]).update(balance=F("balance") - 1)
                        Account.objects.filter(pk=pair[1]).update(balance=F("balance") + 1)
                    break
                except django.db.OperationalError:
                    continue
    except Exception as e:
        faults.append(repr(e))
    connection.close()


threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
show((faults, Account.objects.aggregate(Sum("balance"))))
check("drop")
with connection.schema_editor() as editor:
    editor.delete_model(Order)
show([t for t in connection.introspection.table_names() if t.startswith("shop")])
end()
