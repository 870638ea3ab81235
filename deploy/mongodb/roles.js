// mongosh "mongodb://ADMIN@HOST/admin?replicaSet=rs0" deploy/mongodb/roles.js
//
// Creates a role for the server, a role for `config-lookup seed`, and a user for each. The passwords are prompted for,
// or taken from the environment variable MONGODB_PASSWORD. A second run updates the roles and leaves the users
// unchanged. For other collections (--agent-configs, --prompts, --source-configs), change the names here.
//
// Except for the comments, the roles are JSON: script/deploy-check reads and tests them.

const roles = [
  {
    "role": "configLookupServer",
    "privileges": [
      // `find`: reads a collection at the start and once per TTL, and looks up updated documents.
      // `changeStream`: follows it, with or without post-images. Both on the collections only, not on their databases.
      // The server writes nothing.
      { "resource": { "db": "ai_model", "collection": "agent_configs" }, "actions": ["find", "changeStream"] },
      { "resource": { "db": "ai_model", "collection": "prompts" }, "actions": ["find", "changeStream"] },
      { "resource": { "db": "collection_model", "collection": "source_configs" }, "actions": ["find", "changeStream"] },
      // Reads the ID of the replica set, which distinguishes databases of the same name (the epoch). Optional: without
      // it, the name of the set is used, and --epoch-salt has to distinguish the rest.
      { "resource": { "cluster": true }, "actions": ["replSetGetConfig"] }
    ],
    "roles": []
  },
  {
    "role": "configLookupSeed",
    "privileges": [
      // `find`, `update` and `insert`: a document replaces the one with the same ID, or is added. None is deleted.
      { "resource": { "db": "ai_model", "collection": "agent_configs" }, "actions": ["find", "insert", "update"] },
      { "resource": { "db": "ai_model", "collection": "prompts" }, "actions": ["find", "insert", "update"] },
      {
        "resource": { "db": "collection_model", "collection": "source_configs" },
        "actions": ["find", "insert", "update"]
      }
    ],
    "roles": []
  }
];

const users = { configLookupServer: "config-lookup", configLookupSeed: "config-lookup-seed" };

const admin = db.getSiblingDB("admin");
for (const { role, privileges, roles: inherited } of roles) {
  if (admin.getRole(role) === null) {
    admin.createRole({ role, privileges, roles: inherited });
  } else {
    admin.updateRole(role, { privileges, roles: inherited });
  }
  if (admin.getUser(users[role]) === null) {
    let pwd = process.env.MONGODB_PASSWORD;
    if (!pwd) {
      print(`Password of the new user ${users[role]}:`);
      pwd = passwordPrompt();
    }
    admin.createUser({ user: users[role], pwd, roles: [role] });
  }
}
