# ActiveRecord: migrations (with their advisory lock), models, associations, prepared statements, transactions, pools.
require 'active_record'
require 'active_support/core_ext'
require_relative 'common'

ActiveRecord::Base.establish_connection(adapter: 'postgresql', host: ENV['PGHOST'], port: ENV['PGPORT'], username: ENV['PGUSER'], database: ENV['PGDATABASE'], pool: 8)
ActiveRecord::Migration.verbose = false
ActiveRecord::Base.default_timezone = :utc rescue ActiveRecord.default_timezone = :utc

def fails
  ActiveRecord::Base.transaction(requires_new: true) { yield }
  puts 'no error'
rescue ActiveRecord::StatementInvalid, ActiveRecord::RecordInvalid => e
  puts [e.class, e.cause&.result&.error_field(PG::PG_DIAG_SQLSTATE), e.message.lines.first.chomp].inspect
end

class First < ActiveRecord::Migration[6.1]
  def change
    create_table :accounts, id: false do |t|
      t.bigint :account_id, null: false, primary_key: true
      t.string :owner, limit: 40, null: false
      t.decimal :balance, precision: 14, scale: 2, default: 0, null: false
      t.date :born
      t.datetime :seen
      t.boolean :active, default: true
      t.jsonb :data, default: {}
      t.binary :blob
      t.string :tags, array: true, default: []
      t.float :rating
      t.timestamps
    end
    add_index :accounts, :owner
  end
end

class Second < ActiveRecord::Migration[6.1]
  def change
    create_table :items, primary_key: %i[account_id item], id: false do |t|
      t.bigint :account_id, null: false
      t.integer :item, null: false
      t.text :name
      t.decimal :price, precision: 10, scale: 2
    end
    add_foreign_key :items, :accounts, primary_key: :account_id
    add_column :accounts, :note, :string
    rename_column :accounts, :note, :remark
    change_column_null :accounts, :remark, true
    create_table(:logs) { |t| t.text :line }
  end
end

class Account < ActiveRecord::Base
  self.primary_key = :account_id
  has_many :items, foreign_key: :account_id
  validates :owner, presence: true
  scope :rich, -> { where('balance > ?', 250) }
end

class Item < ActiveRecord::Base
  self.primary_key = nil
  belongs_to :account, foreign_key: :account_id
end

class Log < ActiveRecord::Base; end

check 'migrations'
context = ActiveRecord::MigrationContext.new([], ActiveRecord::SchemaMigration)
ActiveRecord::SchemaMigration.create_table
ActiveRecord::InternalMetadata.create_table
[First.new('First', 1), Second.new('Second', 2)].each { |m| ActiveRecord::Migrator.new(:up, [m], ActiveRecord::SchemaMigration).migrate }
show ActiveRecord::SchemaMigration.all.map(&:version)
show context.current_version
c = ActiveRecord::Base.connection
show c.tables.sort
show c.columns(:accounts).map { |x| [x.name, x.sql_type, x.null, x.default] }
show c.indexes(:accounts).map { |i| [i.name, i.columns, i.unique] }
show c.foreign_keys(:items).map { |f| [f.to_table, f.column] }
show c.primary_keys(:items)
check 'create'
now = Time.utc(2024, 2, 29, 1, 2, 3, 456_789)
(1..4).each { |n| Account.create!(account_id: n, owner: "owner #{n}", balance: n * 100, born: Date.new(2000, n, 1), seen: now, data: { n: n, l: [1, nil] }, blob: "\x00\xFF'".b, tags: ['a', n.to_s], rating: n / 8.0, created_at: now, updated_at: now) }
Item.insert_all((0...60).map { |n| { account_id: n % 4 + 1, item: n, name: "item #{n % 7}", price: n / 4r.to_f } }, returning: false)
show Item.insert_all!([3, 1, 2, 4].map { |n| { account_id: n, item: 900, name: 'several', price: n } }, returning: %w[account_id name]).rows
show Item.where(item: 900).delete_all
show [Account.count, Item.count]
Log.create!(line: 'one')
show Log.pluck(:id, :line)
check 'read'
show Account.find(2).attributes
show Account.order(:owner).pluck(:owner, :balance, :seen)
show Account.rich.where.not(owner: 'owner 4').or(Account.where(account_id: 1)).order(:account_id).pluck(:owner)
show Account.where(account_id: [1, 3, 9]).order(owner: :desc).limit(1).offset(1).pluck(:owner)
show Account.where("data ->> 'n' = ?", '3').pluck(:owner)
show Account.where('? = ANY (tags)', '4').pluck(:owner)
show [Account.find_by(owner: 'owner 1')&.balance, Account.find_by(owner: 'x'), Account.exists?(3), Account.first.owner, Account.last.owner]
begin
  Account.find(99)
rescue ActiveRecord::RecordNotFound => e
  show e.message
end
check 'aggregates'
show [Item.sum(:price), Item.average(:price), Item.maximum(:price), Item.minimum(:name), Item.distinct.count(:name)]
show Item.group(:account_id).order(:account_id).count
show Item.group(:name).having('count(*) > 8').order(:name).sum(:price)
check 'associations'
show Account.joins(:items).where('items.price < 1').order('items.item').pluck('accounts.owner', 'items.name')
show Account.left_joins(:items).group('accounts.account_id').order('accounts.account_id').count('items.item')
show Account.includes(:items).order(:account_id).map { |a| [a.owner, a.items.map(&:price).sum] }
show Account.eager_load(:items).where('items.item < 3').order(:account_id).map(&:owner)
show Account.where(account_id: Item.where('price > 14').select(:account_id)).order(:owner).pluck(:owner)
check 'prepared statements'
8.times { |n| show [Account.find_by(account_id: n % 5)&.owner, Item.where('price > ?', n).count, Item.where(account_id: n % 4 + 1, item: n).pick(:name)] }
check 'update'
a = Account.find(1)
a.update!(balance: 5, data: { 'x' => nil }, tags: [])
show a.reload.attributes.slice('balance', 'data', 'tags')
show Account.where('balance > 150').update_all('balance = balance + 1')
show Account.find(2).increment!(:balance, 3).balance
show a.changed?
show Account.upsert({ account_id: 4, owner: 'upserted', created_at: now, updated_at: now }).rows
show Account.order(:account_id).pluck(:owner, :balance)
check 'errors'
fails { Account.create!(account_id: 1, owner: 'twice') }
fails { Account.create!(account_id: 9, owner: '') }
fails { Account.insert({ account_id: 9, owner: nil, created_at: now, updated_at: now }) }
fails { Item.insert({ account_id: 99, item: 1 }) }
fails { c.execute('SELECT 1/0') }
fails { Account.where('nothere = 1').to_a }
fails { Account.create!(account_id: 9, owner: 'x' * 50) }
check 'transactions and savepoints'
Account.transaction do
  Account.find(1).update!(owner: 'outer')
  Account.transaction(requires_new: true) do
    Account.find(3).update!(owner: 'inner')
    raise ActiveRecord::Rollback
  end
end
show Account.order(:account_id).pluck(:owner)
Account.transaction(isolation: :repeatable_read) { show Account.count }
begin
  Account.transaction { Account.update_all(balance: 0); raise 'undone' }
rescue RuntimeError => e
  show [e.message, Account.sum(:balance)]
end
check 'locks'
Account.transaction { show Account.lock.find(2).owner }
Account.find(3).with_lock { show 'locked' }
c.execute('SELECT pg_advisory_lock(7)')
show c.select_value('SELECT pg_advisory_unlock(7)')
check 'batches'
seen = []
Account.find_each(batch_size: 2) { |x| seen << x.account_id }
show seen
show Account.in_batches(of: 3).map(&:count)
check 'delete'
show Item.where('price > 13').delete_all
show Item.where(account_id: 4).delete_all
Account.find(4).destroy
show [Account.count, Item.count]
check 'concurrency'
Account.update_all(balance: 1000)
threads = (0...6).map do |k|
  Thread.new do
    Account.connection_pool.with_connection do
      15.times do |n|
        x, y = [(n + k) % 3 + 1, (n + 2 * k + 1) % 3 + 1].sort
        begin
          Account.transaction do
            Account.where(account_id: x).update_all('balance = balance - 1')
            Account.where(account_id: y).update_all('balance = balance + 1')
          end
        rescue ActiveRecord::Deadlocked, ActiveRecord::SerializationFailure
          retry
        end
      end
    end
  end
end
threads.each(&:join)
show Account.sum(:balance)
check 'cancel'
canceller = Thread.new do
  sleep 0.3
  c.raw_connection.cancel
end
begin
  c.execute('SELECT account_id, pg_sleep(60) FROM accounts')
rescue ActiveRecord::QueryCanceled => e
  show e.class.name
end
canceller.join
show Account.count
check 'schema'
show ActiveRecord::SchemaDumper.dump(c, StringIO.new).string.lines.grep_v(/^#|^$|pgbraid/).join
check 'rollback'
c.remove_column :accounts, :remark
c.add_index :accounts, %i[account_id seen], unique: true
show c.index_exists?(:accounts, %i[account_id seen])
show Account.reset_column_information && Account.column_names
check 'end'
