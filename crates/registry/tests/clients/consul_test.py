"""py-consul, unmodified, against a platform that runs: CONSUL_ADDRESS and CONSUL_TOKEN say where, and as whom."""

import os
import unittest

import consul

HOST, PORT = os.environ["CONSUL_ADDRESS"].split(":")


class Services(unittest.TestCase):
    def setUp(self):
        self.writer = consul.Consul(host=HOST, port=int(PORT), token=os.environ["CONSUL_TOKEN"])
        self.reader = consul.Consul(host=HOST, port=int(PORT))

    def test_a_service_is_registered_checked_found_and_gone(self):
        agent, health = self.writer.agent, self.reader.health
        check = consul.Check.ttl("60s")
        self.assertTrue(agent.service.register("py-pay", service_id="py:1", address="127.0.0.1", port=9000, tags=["a"], check=check))
        index, entries = health.service("py-pay")
        self.assertEqual([entry["Service"]["ID"] for entry in entries], ["py:1"])
        self.assertEqual(health.service("py-pay", passing=True)[1], [])
        self.assertTrue(agent.check.ttl_pass("service:py:1"))
        later, entries = health.service("py-pay", index=index, wait="60s", passing=True)
        self.assertGreater(int(later), int(index))
        self.assertEqual(entries[0]["Checks"][0]["Status"], "passing")
        self.assertTrue(agent.check.ttl_warn("service:py:1", notes="slow"))
        self.assertTrue(agent.check.ttl_fail("service:py:1"))
        self.assertIn("py-pay", self.reader.catalog.services()[1])
        self.assertEqual(self.reader.catalog.service("py-pay")[1][0]["ServicePort"], 9000)
        self.assertIn("py:1", self.reader.agent.services())
        self.assertIn("service:py:1", self.reader.agent.checks())
        self.assertEqual(self.reader.agent.self()["Config"]["Datacenter"], "dc1")
        self.assertTrue(agent.service.maintenance("py:1", True, "disk"))
        self.assertTrue(agent.service.deregister("py:1"))
        self.assertEqual(health.service("py-pay")[1], [])

    def test_a_check_can_come_later(self):
        agent = self.writer.agent
        agent.service.register("py-late", service_id="late-1", address="127.0.0.1", port=1)
        self.assertEqual(len(self.reader.health.service("py-late", passing=True)[1]), 1, "without a check it lives")
        agent.check.register("beat", check=consul.Check.ttl("60s"), service_id="late-1", check_id="late-beat")
        self.assertEqual(self.reader.health.service("py-late", passing=True)[1], [])
        self.assertTrue(agent.check.ttl_pass("late-beat"))
        self.assertEqual(len(self.reader.health.service("py-late", passing=True)[1]), 1)
        self.assertTrue(agent.check.deregister("late-beat"))
        agent.service.deregister("late-1")

    def test_somebody_else_registers_and_watches_over_a_service(self):
        catalog = self.writer.catalog
        service = {"service": "py-external", "id": "ext-1", "port": 443, "tags": ["far"]}
        check = {"name": "reach", "checkid": "reach", "status": "passing", "serviceid": "ext-1"}
        self.assertTrue(catalog.register("away", "10.0.0.9", service=service, check=check))
        entries = self.reader.health.service("py-external", passing=True)[1]
        self.assertEqual([entry["Service"]["Address"] for entry in entries], ["10.0.0.9"])
        self.assertTrue(catalog.register("away", "10.0.0.9", check={**check, "status": "critical"}))
        self.assertEqual(self.reader.health.service("py-external", passing=True)[1], [])
        self.assertTrue(catalog.deregister("away", service_id="ext-1"))
        self.assertEqual(self.reader.catalog.service("py-external")[1], [])

    def test_who_has_no_token_cannot_write(self):
        with self.assertRaises(consul.ConsulException):
            self.reader.agent.service.register("py-pay", address="127.0.0.1", port=1)


if __name__ == "__main__":
    unittest.main()
