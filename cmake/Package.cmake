# SPDX-License-Identifier: MIT
# The Debian package: `cpack --config BUILD/CPackConfig.cmake`, of a build with CMAKE_INSTALL_PREFIX=/usr.

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ringback)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR "The Ringback project")
set(CPACK_PACKAGE_CONTACT "The Ringback project <ringback@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Xen block and network back ends in userspace")
# Absolute paths (/etc) are staged too.
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Serves disks (RAM, raw files and devices, VHD, NBD) and network cards to the guests
of a Xen host, in place of the kernel's xen-blkback and xen-netback. Guests do
not notice when it is killed, restarted or upgraded. Comes with blkbackd,
netbackd, the switch tapbridged, their command line ringctl, and hotplug
scripts for xl.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "xenstore-utils, kmod, libnbd0 (>= 1.14), init-system-helpers (>= 1.54)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "xen-utils-common, systemd")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_LIST_DIR}/debian/postinst ${CMAKE_CURRENT_LIST_DIR}/debian/prerm ${CMAKE_CURRENT_LIST_DIR}/debian/postrm
    ${CMAKE_CURRENT_LIST_DIR}/debian/conffiles)

include(CPack)
