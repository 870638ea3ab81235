// mongosh "mongodb://ADMIN@HOST/admin?replicaSet=rs0" deploy/mongodb/roles.js
//
// Makes the role of the server, that of `config-lookup seed`, and a user of each, whose passwords are asked for, or
// taken from the environment variable MONGODB_PASSWORD. Run again, it brings the roles up to date and leaves the users as they are. Collections elsewhere (--agent-configs,
// --prompts, --source-configs): change the names here.
//
// The roles are JSON but for the comments: script/deploy-check reads them, and tries them.

const roles = [
  {
    "role": "configLookupServer",
    "privileges": [
      // `find`: to read a collection at the start, once each TTL, and for the document that an update made.
      // `changeStream`: to follow it, with images of documents (docs/guides/deploy.md) or without. Both on the collections
      // alone: not on their databases, and nothing is written.
      { "resource": { "db": "ai_model", "collection": "agent_configs" }, "actions": ["find", "changeStream"] },
      { "resource": { "db": "ai_model", "collection": "prompts" }, "actions": ["find", "changeStream"] },
      { "resource": { "db": "collection_model", "collection": "source_configs" }, "actions": ["find", "changeStream"] },
      // The number of the replica set, which tells two databases of one name apart (the epoch). It may be left out:
      // the set's name has to do then, and --epoch-salt for the rest.
      { "resource": { "cluster": true }, "actions": ["replSetGetConfig"] }
    ],
    "roles": []
  },
  {
    "role": "configLookupSeed",
    "privileges": [
      // `find`, `update` and `insert`: a document replaces the one with its id, or is added. None is deleted.
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
