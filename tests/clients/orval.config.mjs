// For test_generated_clients.py, which says where from, where to, and where the service is.
const { DESCRIPTION, CLIENT, SERVICE } = process.env;

export default {
  preferences: {
    input: DESCRIPTION,
    output: { target: CLIENT, client: "fetch", mode: "single", baseUrl: SERVICE },
  },
};
